// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/cert"

	"github.com/kcp-dev/tmc/apis/manifests"
)

// Options say what to prepare, for whom, and whether in earnest.
type Options struct {
	// ProviderWorkspace is the path of the workspace that holds the APIExport.
	ProviderWorkspace string
	// WorkspaceType is the path and name of the type that the provider workspace has or gets.
	WorkspaceType string
	// ServerUser is the user name with which tmc-apiserver meets kcp.
	ServerUser string
	// TenantGroup is the group whose members may bind the export.
	TenantGroup string
	// WebhookURL is where kcp's shards reach tmc-apiserver, to ask about patches; they do not ask if it is empty, which
	// WithoutWebhook has to allow.
	WebhookURL     string
	WithoutWebhook bool
	// WebhookCA holds the authorities of the server's certificate in PEM; those of the shards' systems if empty.
	WebhookCA []byte
	// DryRun shows what would change and writes nothing.
	DryRun bool
	// Timeout bounds the whole run.
	Timeout time.Duration

	// provider returns the objects of the provider workspace; manifests.Provider if nil. Tests leave out large schemas.
	provider func(manifests.Parameters) ([]*unstructured.Unstructured, error)
}

// Validate reports every problem at once, by the name of the flag.
func (o *Options) Validate() error {
	// A path is at least one segment; workspaces other than root live below another one.
	const segment = `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
	path := regexp.MustCompile(`^` + segment + `(:` + segment + `)*$`)

	var errs []error
	if !path.MatchString(o.ProviderWorkspace) {
		errs = append(errs, fmt.Errorf("--provider-workspace=%q is not a workspace path such as root:tmc", o.ProviderWorkspace))
	}
	if !path.MatchString(o.WorkspaceType) || !strings.Contains(o.WorkspaceType, ":") {
		errs = append(errs, fmt.Errorf("--provider-workspace-type=%q is not a path and a name such as root:universal", o.WorkspaceType))
	}
	errs = append(errs,
		validateSubject("--server-user", o.ServerUser, "the common name of tmc-apiserver's client certificate"),
		validateSubject("--tenant-group", o.TenantGroup, "the group that may use TMC"))
	if o.ServerUser == "system:anonymous" {
		errs = append(errs, errors.New("--server-user=system:anonymous would give the server's rights to everybody"))
	}
	if o.TenantGroup == "system:unauthenticated" {
		errs = append(errs, errors.New("--tenant-group=system:unauthenticated would let anybody bind the export"))
	}
	errs = append(errs, o.validateWebhook())
	if o.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("--timeout=%s must be more than 0", o.Timeout))
	}
	return errors.Join(errs...)
}

// validateWebhook refuses what kcp would refuse later, and in other words.
func (o *Options) validateWebhook() error {
	address, authorities := o.WebhookURL, o.WebhookCA
	switch {
	case address != "" && o.WithoutWebhook:
		return errors.New("--webhook-url and --without-webhook exclude each other")
	case address == "" && len(authorities) > 0:
		return errors.New("--webhook-ca-file is given without --webhook-url")
	case address == "" && !o.WithoutWebhook:
		return errors.New("--webhook-url is required: without it, strategic merge patches, such as those of kubectl apply, lose data in kcp; " +
			"--without-webhook accepts that")
	case address == "":
		return nil
	}
	return validateAddress(address, authorities)
}

func validateAddress(address string, authorities []byte) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("--webhook-url=%q is not a plain address such as https://tmc.example.com:6443", address)
	}
	if len(authorities) > 0 {
		if _, err := cert.ParseCertsPEM(authorities); err != nil {
			return fmt.Errorf("reading --webhook-ca-file: %w", err)
		}
	}
	return nil
}

// validateSubject refuses what no user or group is called, and what would reach into kcp's own prefix.
func validateSubject(flag, value, remedy string) error {
	switch {
	case value == "":
		return fmt.Errorf("%s is required: %s", flag, remedy)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%s=%q holds a control character", flag, value)
	case strings.HasPrefix(value, "apis.kcp.io:binding:"):
		return fmt.Errorf("%s=%q starts with kcp's own prefix and must be given without it", flag, value)
	}
	return nil
}

// parentAndName splits the path of a workspace; parent is empty for a root.
func parentAndName(path string) (parent, name string) {
	if i := strings.LastIndex(path, ":"); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}
