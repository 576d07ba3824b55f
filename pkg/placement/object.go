// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// rootCertificates is the ConfigMap that every namespace gets from its own control plane: that of a workspace is of no use
// on a member, which has its own.
const rootCertificates = "kube-root-ca.crt"

// ObjectSelector is compiled resourceSelectors.
type ObjectSelector struct {
	terms []objectTerm // nil selects what is selected by default
}

type objectTerm struct {
	grouped bool
	group   string
	kind    string
	name    string
	labels  labels.Selector
	broken  bool
}

// NewObjectSelector compiles the resourceSelectors of a Placement. A selector with labels that cannot be parsed selects
// nothing; the error names the first such field.
func NewObjectSelector(spec *tmcv1alpha1.PlacementSpec) (*ObjectSelector, error) {
	s := &ObjectSelector{}
	if spec == nil {
		return s, nil
	}
	var invalid error
	for i := range spec.ResourceSelectors {
		given := &spec.ResourceSelectors[i]
		term := objectTerm{kind: given.Kind, name: given.Name}
		if given.APIVersion != "" {
			term.grouped = true
			term.group = groupOf(given.APIVersion)
		}
		var err error
		term.labels, err = selectorOf(given.LabelSelector, field.NewPath("spec", "resourceSelectors").Index(i).Child("labelSelector"))
		if err != nil {
			term.labels, term.broken = labels.Nothing(), true
			if invalid == nil {
				invalid = err
			}
		}
		s.terms = append(s.terms, term)
	}
	return s, invalid
}

// groupOf returns the group of an apiVersion, whose version is not compared.
func groupOf(apiVersion string) string {
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		return corev1.GroupName
	}
	return group
}

// Matches says whether an object of the Placement's namespace is selected. Without selectors everything is but Secrets and
// ServiceAccounts; those a selector must name by kind. Events, and what every namespace has of its own, never are.
func (s *ObjectSelector) Matches(resource schema.GroupResource, kind, name string, given map[string]string) bool {
	switch resource {
	case schema.GroupResource{Resource: "events"}, schema.GroupResource{Group: "events.k8s.io", Resource: "events"}:
		return false
	case schema.GroupResource{Resource: "configmaps"}:
		if name == rootCertificates {
			return false
		}
	}
	private := isPrivate(resource)
	if s.terms == nil {
		return !private
	}
	for i := range s.terms {
		if s.terms[i].matches(resource.Group, kind, name, given, private) {
			return true
		}
	}
	return false
}

// isPrivate says whether objects of a resource must be selected by kind.
func isPrivate(resource schema.GroupResource) bool {
	return resource.Group == corev1.GroupName && (resource.Resource == string(corev1.ResourceSecrets) || resource.Resource == "serviceaccounts")
}

func (t *objectTerm) matches(group, kind, name string, given map[string]string, private bool) bool {
	return t.concerns(group, kind, name, private) && t.labels.Matches(labels.Set(given))
}

// concerns says whether an object is selected as far as its labels are not asked.
func (t *objectTerm) concerns(group, kind, name string, private bool) bool {
	switch {
	case t.kind == "" && private:
		return false
	case t.kind != "" && t.kind != kind, t.grouped && t.group != group, t.name != "" && t.name != name:
		return false
	default:
		return true
	}
}

// MayMatch says whether an object may have been meant by a selector whose labels cannot be parsed.
func (s *ObjectSelector) MayMatch(resource schema.GroupResource, kind, name string) bool {
	for i := range s.terms {
		if s.terms[i].broken && s.terms[i].concerns(resource.Group, kind, name, isPrivate(resource)) {
			return true
		}
	}
	return false
}

// MatchesSelector says whether a Placement selects an object of its namespace. Who asks about many objects compiles an
// ObjectSelector.
func MatchesSelector(spec *tmcv1alpha1.PlacementSpec, gr schema.GroupResource, gvk schema.GroupVersionKind, name string, given map[string]string) bool {
	selector, _ := NewObjectSelector(spec) // terms that cannot be parsed select nothing, and the others what they say
	return selector.Matches(gr, gvk.Kind, name, given)
}
