// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberrole

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// Names that the identity has unless others are asked for.
const (
	DefaultNamespace  = "tmc-system"
	DefaultSyncerName = "tmc-syncer"
	DefaultReaderName = "tmc-reader"
)

type options struct {
	name, namespace string
	readOnly        bool
	resources       []string
}

// NewCommand returns `tmc-apiserver member-role`, which writes manifests to out.
func NewCommand(out io.Writer) *cobra.Command {
	o := &options{namespace: DefaultNamespace}
	cmd := &cobra.Command{
		Use:   "member-role",
		Short: "Print the identity that TMC needs on a member",
		Long: `Print the identity that TMC needs on a member: a ServiceAccount with a ClusterRole.

The role holds what is placed there and nothing else: every kind that tenants get, or those named by --resources.
A member that lacks a kind says APIMissing, and Placements that place it go elsewhere.`,
		Example: `  # Everything that tenants may place.
  tmc-apiserver member-role | kubectl --context=east apply -f -
  # A member for web servers without state.
  tmc-apiserver member-role --resources=deployments.apps,services,configmaps,secrets,serviceaccounts | kubectl --context=edge apply -f -`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(*cobra.Command, []string) error {
			text, err := o.manifest()
			if err != nil {
				return err
			}
			_, err = out.Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&o.name, "name", "", "Name of the ServiceAccount, the ClusterRole and the binding. "+
		DefaultSyncerName+" by default, "+DefaultReaderName+" with --read-only.")
	cmd.Flags().StringVar(&o.namespace, "namespace", o.namespace, "Namespace of the ServiceAccount. It is made, too.")
	cmd.Flags().StringSliceVar(&o.resources, "resources", nil,
		"Kinds that are placed on the member, by resource and group such as deployments.apps. All that tenants get if empty.")
	cmd.Flags().BoolVar(&o.readOnly, "read-only", false, "Health and capacity only: nothing is ever placed on the member.")
	return cmd
}

func (o *options) manifest() ([]byte, error) {
	rules, err := o.rules()
	if err != nil {
		return nil, err
	}
	name := o.name
	switch {
	case name == "" && o.readOnly:
		name = DefaultReaderName
	case name == "":
		name = DefaultSyncerName
	}
	for flag, value := range map[string]string{"name": name, "namespace": o.namespace} {
		if problems := validation.IsDNS1123Label(value); len(problems) > 0 {
			return nil, fmt.Errorf("--%s=%s: %s", flag, value, strings.Join(problems, "; "))
		}
	}
	var text []byte
	for _, object := range objects(name, o.namespace, rules) {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return nil, fmt.Errorf("converting %T: %w", object, err)
		}
		delete(content, "spec")
		delete(content, "status")
		unstructuredMeta(content)
		document, err := yaml.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("encoding %T: %w", object, err)
		}
		text = append(append(text, "---\n"...), document...)
	}
	return text, nil
}

// unstructuredMeta removes what the converter writes though it is empty.
func unstructuredMeta(content map[string]any) {
	if metadata, ok := content["metadata"].(map[string]any); ok && metadata["creationTimestamp"] == nil {
		delete(metadata, "creationTimestamp")
	}
}

func (o *options) rules() ([]rbacv1.PolicyRule, error) {
	switch {
	case o.readOnly && len(o.resources) > 0:
		return nil, errors.New("--read-only and --resources exclude each other: nothing is placed on a member that is only read")
	case o.readOnly:
		return Reader(), nil
	case len(o.resources) == 0:
		all, err := Placeable()
		if err != nil {
			return nil, err
		}
		return Syncer(all)
	}
	named := make([]schema.GroupResource, 0, len(o.resources))
	for _, each := range o.resources {
		named = append(named, schema.ParseGroupResource(each))
	}
	rules, err := Syncer(named)
	if err != nil {
		return nil, fmt.Errorf("--resources: %w", err)
	}
	return rules, nil
}

func objects(name, namespace string, rules []rbacv1.PolicyRule) []any {
	rbac := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
	}
	return []any{
		&corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.ServiceAccount{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		},
		&rbacv1.ClusterRole{TypeMeta: rbac("ClusterRole"), ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules},
		&rbacv1.ClusterRoleBinding{
			TypeMeta: rbac("ClusterRoleBinding"), ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
		},
	}
}
