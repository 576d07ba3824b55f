// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberrole

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	rbacv1 "k8s.io/api/rbac/v1"
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

// everything stands for all kinds that tenants get in --resources.
const everything = "all"

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
  tmc-apiserver member-role --resources=deployments.apps,services,configmaps,secrets,serviceaccounts | kubectl --context=edge apply -f -
  # One that also runs a kind which the provider offers tenants besides.
  tmc-apiserver member-role --resources=all,widgets.example.com | kubectl --context=west apply -f -`,
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
		"Kinds that are placed on the member, by resource and group such as deployments.apps; all stands for those that come with TMC, as when this is empty.")
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
	identity := New(name, o.namespace, rules)
	for _, object := range []any{identity.Namespace, identity.ServiceAccount, identity.Role, identity.Binding} {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return nil, fmt.Errorf("converting %T: %w", object, err)
		}
		delete(content, "spec") // the converter writes these though they are empty
		delete(content, "status")
		document, err := yaml.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("encoding %T: %w", object, err)
		}
		text = append(append(text, "---\n"...), document...)
	}
	return text, nil
}

func (o *options) rules() ([]rbacv1.PolicyRule, error) {
	switch {
	case o.readOnly && len(o.resources) > 0:
		return nil, errors.New("--read-only and --resources exclude each other: nothing is placed on a member that is only read")
	case o.readOnly:
		return Reader(), nil
	case len(o.resources) == 0:
		return Everything()
	}
	named := make([]schema.GroupResource, 0, len(o.resources))
	for _, each := range o.resources {
		if each != everything {
			named = append(named, schema.ParseGroupResource(each))
			continue
		}
		placeable, err := Placeable()
		if err != nil {
			return nil, err
		}
		named = append(named, placeable...)
	}
	rules, err := Syncer(named)
	if err != nil {
		return nil, fmt.Errorf("--resources: %w", err)
	}
	return rules, nil
}
