// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberconfig

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// MaxKubeconfigBytes is how large a kubeconfig may be. It is what a Secret can hold at most.
const MaxKubeconfigBytes = 1 << 20

// FromKubeconfig reads the current context of a kubeconfig. It returns a zero Connection with a Problem.
func FromKubeconfig(data []byte, now time.Time) (Connection, *Problem) {
	if len(data) > MaxKubeconfigBytes {
		return Connection{}, invalid("the kubeconfig is larger than %d bytes; give one that holds only the current context", MaxKubeconfigBytes)
	}
	root, err := parseTree(data)
	if err != nil {
		return Connection{}, invalid("the kubeconfig cannot be parsed: %s; create it with kubectl config view --raw --minify --flatten", err)
	}
	chosen, problem := currentContext(root)
	if problem != nil {
		return Connection{}, problem
	}
	connection, problem := readChosen(chosen)
	if problem != nil {
		return Connection{}, problem
	}
	return validated(connection, now, fieldNames{
		server: chosen.cluster.path + ".server",
		ca:     chosen.cluster.path + ".certificate-authority-data",
		token:  chosen.user.path + ".token",
		cert:   chosen.user.path + ".client-certificate-data",
		key:    chosen.user.path + ".client-key-data",
	})
}

// section is a mapping of the kubeconfig with its path for messages, such as users[admin].user.
type section struct {
	path   string
	fields []field
}

type chosenSections struct {
	cluster, user section
}

// currentContext finds the cluster and the user that the current context names.
func currentContext(root *yaml.Node) (chosenSections, *Problem) {
	top := section{fields: fieldsOf(root)}
	if problem := top.onlyOnce(); problem != nil {
		return chosenSections{}, problem
	}
	current, problem := top.text("current-context")
	if problem != nil {
		return chosenSections{}, problem
	}
	if current == "" {
		return chosenSections{}, invalid("current-context is not set; name the context to use")
	}
	context, problem := top.entry("contexts", "context", current)
	if problem != nil {
		return chosenSections{}, problem
	}
	if problem := context.onlyKnown([]string{"cluster", "user"}, []string{"namespace", "extensions"}); problem != nil {
		return chosenSections{}, problem
	}
	clusterName, problem := context.required("cluster")
	if problem != nil {
		return chosenSections{}, problem
	}
	userName, problem := context.required("user")
	if problem != nil {
		return chosenSections{}, problem
	}
	cluster, problem := top.entry("clusters", "cluster", clusterName)
	if problem != nil {
		return chosenSections{}, problem
	}
	user, problem := top.entry("users", "user", userName)
	return chosenSections{cluster: cluster, user: user}, problem
}

// readChosen takes the accepted fields and refuses all others.
func readChosen(chosen chosenSections) (Connection, *Problem) {
	if problem := chosen.cluster.onlyKnown([]string{"server", "certificate-authority-data"}, []string{"extensions", "disable-compression"}); problem != nil {
		return Connection{}, problem
	}
	if problem := chosen.user.onlyKnown([]string{"token", "client-certificate-data", "client-key-data"}, []string{"extensions"}); problem != nil {
		return Connection{}, problem
	}
	var connection Connection
	var problem *Problem
	if connection.Server, problem = chosen.cluster.required("server"); problem != nil {
		return Connection{}, problem
	}
	if connection.BearerToken, problem = chosen.user.text("token"); problem != nil {
		return Connection{}, problem
	}
	for _, target := range []struct {
		from section
		name string
		into *[]byte
	}{
		{chosen.cluster, "certificate-authority-data", &connection.CAData},
		{chosen.user, "client-certificate-data", &connection.ClientCertData},
		{chosen.user, "client-key-data", &connection.ClientKeyData},
	} {
		if *target.into, problem = target.from.data(target.name); problem != nil {
			return Connection{}, problem
		}
	}
	return connection, nil
}

func (s section) at(name string) string {
	if s.path == "" {
		return name
	}
	return s.path + "." + name
}

func (s section) find(name string) (*yaml.Node, bool) {
	index := slices.IndexFunc(s.fields, func(f field) bool { return f.name == name })
	if index < 0 || isUnset(s.fields[index].value) {
		return nil, false
	}
	return s.fields[index].value, true
}

// text returns a string field, or nothing if it is not set.
func (s section) text(name string) (string, *Problem) {
	node, found := s.find(name)
	if !found {
		return "", nil
	}
	if node.Kind != yaml.ScalarNode {
		return "", invalid("%s is not a string", s.at(name))
	}
	return node.Value, nil
}

// required returns a string field that must be set.
func (s section) required(name string) (string, *Problem) {
	text, problem := s.text(name)
	if problem == nil && text == "" {
		problem = invalid("%s is not set", s.at(name))
	}
	return text, problem
}

// data returns a base64 field, or nothing if it is not set.
func (s section) data(name string) ([]byte, *Problem) {
	text, problem := s.text(name)
	if problem != nil || text == "" {
		return nil, problem
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, invalid("%s is not base64", s.at(name)) // the cause would quote what may be a key
	}
	return decoded, nil
}

// entry returns the part of the one list entry that has the name: the user of the entry of users, say.
func (s section) entry(list, part, name string) (section, *Problem) {
	path := fmt.Sprintf("%s[%s]", list, Printable(name, maxNameInMessage))
	entries, found := s.find(list)
	if !found || entries.Kind != yaml.SequenceNode {
		return section{}, invalid("%s does not exist, or %s is not a list", path, list)
	}
	var matches []section
	for _, node := range entries.Content {
		if node.Kind != yaml.MappingNode {
			continue
		}
		candidate := section{path: path, fields: fieldsOf(node)}
		if got, problem := candidate.text("name"); problem == nil && got == name {
			matches = append(matches, candidate)
		}
	}
	if len(matches) != 1 {
		return section{}, invalid("%s exists %d times; it must exist once", path, len(matches))
	}
	if problem := matches[0].onlyKnown([]string{"name", part}, nil); problem != nil {
		return section{}, problem
	}
	inner, found := matches[0].find(part)
	if !found || inner.Kind != yaml.MappingNode {
		return section{}, invalid("%s is not set, or not a mapping", matches[0].at(part))
	}
	return section{path: matches[0].at(part), fields: fieldsOf(inner)}, nil
}

// onlyKnown refuses every field that is set and neither accepted nor ignored, and every field that is there twice.
func (s section) onlyKnown(accepted, ignored []string) *Problem {
	for _, f := range s.fields {
		if slices.Contains(accepted, f.name) || slices.Contains(ignored, f.name) || isUnset(f.value) {
			continue
		}
		return &Problem{
			Condition: tmcv1alpha1.ConditionCredentialsValid,
			Reason:    tmcv1alpha1.ReasonForbiddenField,
			Message:   fmt.Sprintf("%s is not accepted; %s", s.at(Printable(f.name, maxNameInMessage)), remedy(f.name)),
		}
	}
	return s.onlyOnce()
}

// onlyOnce refuses fields that are there twice, since parsers differ in which one they take.
func (s section) onlyOnce() *Problem {
	seen := make(map[string]bool, len(s.fields))
	for _, f := range s.fields {
		if seen[f.name] {
			return invalid("%s is there twice", s.at(Printable(f.name, maxNameInMessage)))
		}
		seen[f.name] = true
	}
	return nil
}

// remedy says what to do instead of a field that is not accepted.
func remedy(name string) string {
	switch name {
	case "exec", "auth-provider":
		return "programs are never run: give the token of a ServiceAccount in token"
	case "tokenFile", "client-certificate", "client-key", "certificate-authority":
		return "files are never read: give the content inline (kubectl config view --raw --minify --flatten)"
	case "insecure-skip-tls-verify":
		return "the member is always verified: give certificate-authority-data"
	case "proxy-url":
		return "members are called directly: remove it"
	case "tls-server-name":
		return "the member's certificate must hold the host of the server: use such a host"
	case "as", "as-uid", "as-groups", "as-user-extra":
		return "nobody is impersonated: give the credentials of the identity itself"
	case "username", "password":
		return "basic authentication is not supported: give a token or a client certificate"
	default:
		return "remove it"
	}
}

func invalid(format string, args ...any) *Problem {
	return &Problem{
		Condition: tmcv1alpha1.ConditionCredentialsValid,
		Reason:    tmcv1alpha1.ReasonInvalidKubeconfig,
		Message:   fmt.Sprintf(format, args...),
	}
}
