// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// place is a namespace of a workspace.
type place struct {
	workspace logicalcluster.Name
	namespace string
}

// byPlace knows the Placements of each namespace.
type byPlace struct {
	mu   sync.RWMutex
	keys map[place]map[workspace.Key]struct{}
}

func newByPlace() *byPlace { return &byPlace{keys: map[place]map[workspace.Key]struct{}{}} }

func (b *byPlace) set(key workspace.Key, exists bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := place{key.Workspace, key.Namespace}
	if exists {
		if b.keys[at] == nil {
			b.keys[at] = map[workspace.Key]struct{}{}
		}
		b.keys[at][key] = struct{}{}
		return
	}
	delete(b.keys[at], key)
	if len(b.keys[at]) == 0 {
		delete(b.keys, at)
	}
}

func (b *byPlace) at(ws logicalcluster.Name, namespace string) []workspace.Key {
	b.mu.RLock()
	defer b.mu.RUnlock()
	keys := make([]workspace.Key, 0, len(b.keys[place{ws, namespace}]))
	for key := range b.keys[place{ws, namespace}] {
		keys = append(keys, key)
	}
	return keys
}

func (b *byPlace) in(ws logicalcluster.Name) []workspace.Key {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var keys []workspace.Key
	for at, all := range b.keys {
		if at.workspace == ws {
			for key := range all {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// contender is a Placement with its compiled selectors.
type contender struct {
	*tmcv1alpha1.Placement

	selector *placement.ObjectSelector
	// broken says that some selector cannot be parsed, as scheduling tells. It selects nothing new.
	broken bool
}

func newContender(p *tmcv1alpha1.Placement) contender {
	selector, err := placement.NewObjectSelector(&p.Spec)
	return contender{Placement: p, selector: selector, broken: err != nil}
}

// selects reports whether an object is selected, or was until a selector could not be parsed any more.
func (c contender) selects(gr schema.GroupResource, object *unstructured.Unstructured) bool {
	if c.selector.Matches(gr, object.GetKind(), object.GetName(), object.GetLabels()) {
		return true
	}
	return c.mayHave(gr, object) && object.GetAnnotations()[tmcv1alpha1.PlacedByAnnotation] == c.Name
}

// mayHave reports whether a selector that cannot be parsed may have selected an object before.
func (c contender) mayHave(gr schema.GroupResource, object *unstructured.Unstructured) bool {
	return c.broken && c.selector.MayMatch(gr, object.GetKind(), object.GetName())
}

// contenders returns the Placements of a namespace that are not being deleted, those that go first before others.
func (c *Controller) contenders(ws logicalcluster.Name, namespace string) []contender {
	var all []contender
	for _, found := range c.config.Placements.InNamespace(ws, namespace) {
		if found.DeletionTimestamp == nil {
			all = append(all, newContender(found))
		}
	}
	slices.SortFunc(all, func(a, b contender) int { return precedence(a.Placement, b.Placement) })
	return all
}

// precedence orders Placements by who places an object that both select: higher priority, older, first by name.
func precedence(a, b *tmcv1alpha1.Placement) int {
	return cmp.Or(
		cmp.Compare(b.Spec.Priority, a.Spec.Priority),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Name, b.Name),
	)
}

// winner returns the Placement that places an object, of those of its namespace in order.
func winner(ordered []contender, gr schema.GroupResource, object *unstructured.Unstructured) *tmcv1alpha1.Placement {
	for _, p := range ordered {
		if p.selects(gr, object) {
			return p.Placement
		}
	}
	return nil
}

// selection is what a Placement selects.
type selection struct {
	workloads []placement.Workload
	keys      []workspace.Key // of workloads, in the same order
	lost      []tmcv1alpha1.UnplacedObject
	broken    bool // some selector cannot be parsed
}

// selectionOf looks through the namespace of a Placement.
func (c *Controller) selectionOf(p *tmcv1alpha1.Placement, certain bool) selection {
	key, own := keyOf(p), newContender(p)
	found := selection{broken: own.broken}
	ordered := c.contenders(key.Workspace, key.Namespace)
	kinds := c.config.Workloads.Kinds()
	for _, gr := range kinds {
		for _, object := range c.config.Workloads.InNamespace(gr, key.Workspace, key.Namespace) {
			if !own.selects(gr, object) || object.GetDeletionTimestamp() != nil {
				continue
			}
			if reason, message, ok := transform.Syncable(gr, true, object); !ok {
				if len(p.Spec.ResourceSelectors) > 0 {
					found.lose(object, reason, message)
				}
				continue
			}
			if first := winner(ordered, gr, object); first != nil && first.Name != p.Name {
				found.lose(object, tmcv1alpha1.ReasonPlacedByOther, "Placement "+first.Name+" goes first: it has a higher priority, or is older")
				continue
			}
			found.add(gr, object)
		}
	}
	if certain { // a kind may be one that was not read yet
		c.loseUnknown(&found, p.Spec.ResourceSelectors, kinds)
	}
	return found
}

// loseUnknown tells of selectors by a kind that cannot be placed, such as a misspelt one, or one that is never synced:
// they select nothing, beside others that do.
func (c *Controller) loseUnknown(found *selection, selectors []tmcv1alpha1.ResourceSelector, kinds []schema.GroupResource) {
	for i := range selectors {
		if len(found.lost) >= mostLost {
			return
		}
		selector := &selectors[i]
		group, err := schema.ParseGroupVersion(selector.APIVersion)
		if selector.Kind == "" || err != nil || slices.ContainsFunc(kinds, func(gr schema.GroupResource) bool {
			return c.config.Workloads.KindName(gr) == selector.Kind && (selector.APIVersion == "" || gr.Group == group.Group)
		}) {
			continue
		}
		offered := make([]string, 0, len(kinds))
		for _, gr := range kinds {
			if _, _, ok := transform.Syncable(gr, true, nil); ok {
				offered = append(offered, c.config.Workloads.KindName(gr))
			}
		}
		slices.Sort(offered)
		found.lost = append(found.lost, tmcv1alpha1.UnplacedObject{
			APIVersion: selector.APIVersion, Kind: selector.Kind, Name: selector.Name, Reason: tmcv1alpha1.ReasonNotSyncable,
			Message: fmt.Sprintf("resourceSelectors[%d] names a kind that cannot be placed; %s can", i, strings.Join(offered[:min(len(offered), mostOffered)], ", ")),
		})
	}
}

func (s *selection) add(gr schema.GroupResource, object *unstructured.Unstructured) {
	workload := placement.Workload{Resource: gr, Kind: object.GetKind(), Name: object.GetName()}
	if perPod, replicas, perNode, ok := transform.Requests(object); ok {
		workload.Requests, workload.Replicas, workload.PerNode = perPod, replicas, perNode
	}
	s.workloads = append(s.workloads, workload)
	s.keys = append(s.keys, workspace.Key{Workspace: logicalcluster.From(object), Namespace: object.GetNamespace(), Name: object.GetName()})
}

// mostOffered bounds how many kinds a message names.
const mostOffered = 30

// mostLost bounds how many objects that are not placed are told of.
const mostLost = 100

func (s *selection) lose(object *unstructured.Unstructured, reason, message string) {
	if len(s.lost) < mostLost {
		s.lost = append(s.lost, tmcv1alpha1.UnplacedObject{
			APIVersion: object.GetAPIVersion(), Kind: object.GetKind(), Name: object.GetName(), Reason: reason, Message: message,
		})
	}
}

func keyOf(object metav1.Object) workspace.Key {
	return workspace.Key{Workspace: logicalcluster.From(object), Namespace: object.GetNamespace(), Name: object.GetName()}
}
