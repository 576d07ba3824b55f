// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kcp-dev/tmc/test/integration/framework"
)

// The marks of copies, as the documentation tells them to the owners of members. The oracle takes nothing from the
// product: neither code nor what it says of itself, but where a test asks for that.
const (
	managed       = "tmc.kcp.io/managed=true"
	markWorkspace = "tmc.kcp.io/workspace"
	markNamespace = "tmc.kcp.io/namespace"
	markName      = "tmc.kcp.io/name"
	markUID       = "tmc.kcp.io/uid"
	markPlacedBy  = "tmc.kcp.io/placed-by"
	syncFinalizer = "tmc.kcp.io/sync"
)

func coreResource(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: resource}
}

var (
	namespaceResource    = coreResource("namespaces")
	configMapResource    = coreResource("configmaps")
	serviceResource      = coreResource("services")
	deploymentResource   = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	registrationResource = schema.GroupVersionResource{Group: "tmc.kcp.io", Version: "v1alpha1", Resource: "clusterregistrations"}
	placementResource    = schema.GroupVersionResource{Group: "tmc.kcp.io", Version: "v1alpha1", Resource: "placements"}
	viewResource         = schema.GroupVersionResource{Group: "tmc.kcp.io", Version: "v1alpha1", Resource: "placementstatuses"}
)

// placedResources are those that the tests of this file place.
func placedResources() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{configMapResource, serviceResource, deploymentResource}
}

// copyResources are all that could be left behind on a member.
func copyResources() []schema.GroupVersionResource {
	resources := placedResources()
	for group, names := range map[schema.GroupVersion][]string{
		{Version: "v1"}:                             {"secrets", "serviceaccounts", "persistentvolumeclaims"},
		{Group: "apps", Version: "v1"}:              {"statefulsets", "daemonsets"},
		{Group: "batch", Version: "v1"}:             {"jobs", "cronjobs"},
		{Group: "networking.k8s.io", Version: "v1"}: {"ingresses", "networkpolicies"},
		{Group: "autoscaling", Version: "v2"}:       {"horizontalpodautoscalers"},
		{Group: "policy", Version: "v1"}:            {"poddisruptionbudgets"},
	} {
		for _, name := range names {
			resources = append(resources, group.WithResource(name))
		}
	}
	return resources
}

// oracle compares what a workspace wants with what members have, by administrators' clients of its own.
type oracle struct {
	workspace string // the name of the logical cluster
	admin     dynamic.Interface
	members   map[string]dynamic.Interface // by the names that the workspace knows them by
}

func newOracle(t *testing.T, tenant *framework.PlacingTenant) *oracle {
	t.Helper()
	o := &oracle{workspace: tenant.Cluster, admin: suite.Admin(t, tenant.Workspace), members: map[string]dynamic.Interface{}}
	for own, known := range tenant.Members {
		o.members[known] = suite.MemberDynamic(t, own)
	}
	return o
}

// held is one object on a member.
type held struct {
	member, resource string
	object           *unstructured.Unstructured
}

func (h held) String() string {
	return fmt.Sprintf("%s %s/%s on member %s", h.resource, h.object.GetNamespace(), h.object.GetName(), h.member)
}

func (h held) mark(name string) string { return h.object.GetAnnotations()[name] }

// inventory lists what members have of the workspace, of some resources, and the namespaces.
func (o *oracle) inventory(ctx context.Context, resources []schema.GroupVersionResource) (copies, namespaces []held, err error) {
	for _, member := range slices.Sorted(maps.Keys(o.members)) {
		for _, resource := range append(resources, namespaceResource) {
			list, err := o.members[member].Resource(resource).List(ctx, metav1.ListOptions{LabelSelector: managed})
			if err != nil {
				return nil, nil, fmt.Errorf("listing %s on member %s: %w", resource.Resource, member, err)
			}
			for i := range list.Items {
				found := held{member: member, resource: resource.Resource, object: &list.Items[i]}
				switch {
				case found.mark(markWorkspace) != o.workspace:
				case resource == namespaceResource:
					namespaces = append(namespaces, found)
				default:
					copies = append(copies, found)
				}
			}
		}
	}
	return copies, namespaces, nil
}

// source is an object of the workspace.
type source struct {
	resource schema.GroupVersionResource
	object   *unstructured.Unstructured
}

func (s source) String() string {
	return fmt.Sprintf("%s %s/%s", s.resource.Resource, s.object.GetNamespace(), s.object.GetName())
}

// sources lists what the workspace has of some resources. One that it does not serve any more is one without objects.
func (o *oracle) sources(ctx context.Context, resources []schema.GroupVersionResource) (map[types.UID]source, error) {
	all := map[types.UID]source{}
	for _, resource := range append(resources, namespaceResource) {
		list, err := o.admin.Resource(resource).List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing %s in the workspace: %w", resource.Resource, err)
		}
		for i := range list.Items {
			all[list.Items[i].GetUID()] = source{resource, &list.Items[i]}
		}
	}
	return all, nil
}

// inTurn looks at what tests place first: as long as something is wrong with that, the rest need not be listed.
func inTurn(look func(resources []schema.GroupVersionResource, whole bool) error) error {
	if err := look(placedResources(), false); err != nil {
		return err
	}
	return look(copyResources(), true)
}

// nothing says whether anything of the workspace is left on members.
func (o *oracle) nothing(ctx context.Context) error {
	return o.none(ctx, func(copies, namespaces []held) []held { return slices.Concat(copies, namespaces) })
}

// noCopy says whether anything but namespaces of the workspace is left on members.
func (o *oracle) noCopy(ctx context.Context) error {
	return o.none(ctx, func(copies, _ []held) []held { return copies })
}

func (o *oracle) none(ctx context.Context, of func(copies, namespaces []held) []held) error {
	return inTurn(func(resources []schema.GroupVersionResource, _ bool) error {
		copies, namespaces, err := o.inventory(ctx, resources)
		if err != nil {
			return err
		}
		if left := of(copies, namespaces); len(left) > 0 {
			return fmt.Errorf("%d objects are left: %v", len(left), left)
		}
		return nil
	})
}

// check compares everything, and returns all differences.
func (o *oracle) check(ctx context.Context) error {
	return inTurn(func(resources []schema.GroupVersionResource, whole bool) error {
		return o.compareAll(ctx, resources, whole)
	})
}

// compareAll compares some resources, and namespaces if these are all that can be in one.
func (o *oracle) compareAll(ctx context.Context, resources []schema.GroupVersionResource, whole bool) error {
	copies, namespaces, err := o.inventory(ctx, resources)
	if err != nil {
		return err
	}
	sources, err := o.sources(ctx, resources)
	if err != nil {
		return err
	}
	placements, err := o.admin.Resource(placementResource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing placements: %w", err)
	}
	registrations, err := o.admin.Resource(registrationResource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing registrations: %w", err)
	}
	errs := orphans(copies, sources)
	for i := range registrations.Items {
		if found := &registrations.Items[i]; found.GetDeletionTimestamp() != nil {
			errs = append(errs, fmt.Errorf("registration %s is still being deleted; its finalizers are %v", found.GetName(), found.GetFinalizers()))
		}
	}
	if whole {
		errs = append(errs, namespacesOfNothing(namespaces, sources)...)
	}
	byUID := map[types.UID][]held{}
	for _, found := range copies {
		byUID[types.UID(found.mark(markUID))] = append(byUID[types.UID(found.mark(markUID))], found)
	}
	for uid, wanted := range sources {
		errs = append(errs, o.compare(wanted, placementOf(placements, wanted.object.GetNamespace()), byUID[uid])...)
	}
	for i := range placements.Items {
		errs = append(errs, o.comparePlacement(ctx, &placements.Items[i], sources)...)
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// orphans are copies that are of nothing, or not where they belong.
func orphans(copies []held, sources map[types.UID]source) []error {
	var errs []error
	places := map[string]string{} // namespaces of the workspace to those of members
	for _, found := range copies {
		of, known := sources[types.UID(found.mark(markUID))]
		if !known || of.resource.Resource != found.resource || of.object.GetName() != found.mark(markName) || of.object.GetNamespace() != found.mark(markNamespace) {
			errs = append(errs, fmt.Errorf("orphaned: %s says that it is of %s/%s with UID %s", found, found.mark(markNamespace), found.mark(markName), found.mark(markUID)))
		}
		at := found.mark(markNamespace)
		if place, seen := places[at]; seen && place != found.object.GetNamespace() {
			errs = append(errs, fmt.Errorf("scattered: namespace %s is %s and %s", at, place, found.object.GetNamespace()))
		}
		places[at] = found.object.GetNamespace()
		if !strings.HasPrefix(found.object.GetNamespace(), "tmc-") || found.object.GetName() != found.mark(markName) {
			errs = append(errs, fmt.Errorf("misplaced: %s", found))
		}
	}
	return errs
}

// namespacesOfNothing are namespaces on members that the workspace does not have, and that are not being removed.
func namespacesOfNothing(namespaces []held, sources map[types.UID]source) []error {
	var errs []error
	for _, found := range namespaces {
		if found.object.GetDeletionTimestamp() != nil {
			continue // members take some seconds over that
		}
		exists := false
		for _, of := range sources {
			exists = exists || (of.resource == namespaceResource && of.object.GetName() == found.mark(markNamespace))
		}
		if !exists {
			errs = append(errs, fmt.Errorf("left behind: namespace %s of %s on member %s", found.object.GetName(), found.mark(markNamespace), found.member))
		}
	}
	return errs
}

func placementOf(placements *unstructured.UnstructuredList, namespace string) *unstructured.Unstructured {
	for i := range placements.Items {
		if found := &placements.Items[i]; found.GetNamespace() == namespace && found.GetDeletionTimestamp() == nil {
			return found
		}
	}
	return nil
}

// compare looks at one object of the workspace.
func (o *oracle) compare(of source, placement *unstructured.Unstructured, copies []held) []error {
	var errs []error
	if of.object.GetDeletionTimestamp() != nil {
		errs = append(errs, fmt.Errorf("%s is still being deleted; its finalizers are %v", of, of.object.GetFinalizers()))
	}
	if !slices.Contains(placedResources(), of.resource) || of.object.GetName() == "kube-root-ca.crt" {
		return errs
	}
	claimed := of.resource == configMapResource
	if marked := slices.Contains(of.object.GetFinalizers(), syncFinalizer); marked != (len(copies) > 0 && !claimed) {
		errs = append(errs, fmt.Errorf("%s with %d copies has the finalizers %v", of, len(copies), of.object.GetFinalizers()))
	}
	if placement == nil {
		if len(copies) > 0 {
			errs = append(errs, fmt.Errorf("%s is not placed, and has the copies %v", of, copies))
		}
		return errs
	}
	if by := of.object.GetAnnotations()[markPlacedBy]; !claimed && by != placement.GetName() {
		errs = append(errs, fmt.Errorf("%s says that it is placed by %q", of, by))
	}
	wanted, _, _ := unstructured.NestedStringSlice(placement.Object, "spec", "clusterNames") // the tests name them all
	for _, member := range wanted {
		there := slices.DeleteFunc(slices.Clone(copies), func(c held) bool { return c.member != member })
		if len(there) != 1 {
			errs = append(errs, fmt.Errorf("%s has %d copies on %s, want one", of, len(there), member))
			continue
		}
		if found := differences(of.object, there[0].object); len(found) > 0 {
			errs = append(errs, fmt.Errorf("%s differs: %s", there[0], strings.Join(found, "; ")))
		}
	}
	if len(copies) != len(wanted) {
		errs = append(errs, fmt.Errorf("%s has the copies %v, want them on %v", of, copies, wanted))
	}
	if of.resource == deploymentResource {
		errs = append(errs, compareStatus(of)...)
	}
	return errs
}

// compareStatus: every member runs all replicas, so the workspace tells as one cluster would.
func compareStatus(of source) []error {
	replicas, _, _ := unstructured.NestedInt64(of.object.Object, "spec", "replicas") // the tests set it
	want := map[string]int64{
		"observedGeneration": of.object.GetGeneration(), "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas, "updatedReplicas": replicas,
	}
	got := map[string]int64{}
	for field := range want {
		got[field], _, _ = unstructured.NestedInt64(of.object.Object, "status", field) // what is missing is 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return []error{fmt.Errorf("the status of %s is wrong (-want +got):\n%s", of, diff)}
	}
	return nil
}

// comparePlacement looks at what a Placement and its view say.
func (o *oracle) comparePlacement(ctx context.Context, placement *unstructured.Unstructured, sources map[types.UID]source) []error {
	name := placement.GetNamespace() + "/" + placement.GetName()
	if placement.GetDeletionTimestamp() != nil {
		return []error{fmt.Errorf("placement %s is still being deleted", name)}
	}
	wanted, _, _ := unstructured.NestedStringSlice(placement.Object, "spec", "clusterNames") // the tests name them all
	var decided []string
	decisions, _, _ := unstructured.NestedSlice(placement.Object, "status", "decisions") // what is missing is none
	for _, decision := range decisions {
		d := decision.(map[string]any)
		decided = append(decided, fmt.Sprintf("%v %v", d["clusterName"], d["phase"]))
	}
	var errs []error
	for i, want := range slices.Sorted(slices.Values(wanted)) {
		if len(decided) != len(wanted) || decided[i] != want+" Active" {
			errs = append(errs, fmt.Errorf("placement %s has the decisions %v, want %v", name, decided, wanted))
			break
		}
	}
	conditions, err := framework.Conditions(placement)
	errs = append(errs, err, framework.WantCondition(conditions, "Ready", metav1.ConditionTrue, ""))
	objects := int64(0)
	for _, of := range sources {
		if of.object.GetNamespace() == placement.GetNamespace() && of.object.GetName() != "kube-root-ca.crt" && slices.Contains(placedResources(), of.resource) {
			objects++
		}
	}
	view, err := o.admin.Resource(viewResource).Namespace(placement.GetNamespace()).Get(ctx, placement.GetName(), metav1.GetOptions{})
	if err != nil {
		return append(errs, fmt.Errorf("reading the view of placement %s: %w", name, err))
	}
	copies := objects * int64(len(wanted))
	want := map[string]int64{"objects": objects, "desired": copies, "synced": copies, "ready": copies, "failed": 0, "drifted": 0}
	got := map[string]int64{}
	for field := range want {
		got[field], _, _ = unstructured.NestedInt64(view.Object, "status", "workloads", field) // what is missing is 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		errs = append(errs, fmt.Errorf("the view of placement %s is wrong (-want +got):\n%s", name, diff))
	}
	return errs
}
