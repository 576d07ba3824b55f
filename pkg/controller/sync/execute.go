// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/crashpoint"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func namespaces() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
}

// execute carries out one task. It runs in the member's lane.
func (c *Controller) execute(ctx context.Context, member workspace.Key, key Key, t task) (*unstructured.Unstructured, error) {
	if t.desired == nil {
		if key.Resource == namespaces().GroupResource() && c.states.inUse(member, key.Object.Workspace.String(), key.Object.Name) {
			return nil, nil //nolint:nilnil // something came to be in it while this waited
		}
		crashpoint.Hit(crashpoint.BeforeDelete)
		err := c.config.Downstream.Delete(ctx, member, t.at, t.uid)
		crashpoint.Hit(crashpoint.AfterDelete)
		if err != nil && problemOf(err).NotFound {
			return nil, nil //nolint:nilnil // nothing is there, as it should be
		}
		return nil, err
	}
	if err := c.ensureNamespace(ctx, member, key.Object); err != nil {
		return nil, err
	}
	if t.owned {
		return c.update(ctx, member, t)
	}
	// Server-side apply merges into what it finds. So look first, and do not force: whoever comes in between wins.
	live, err := c.config.Downstream.Get(ctx, member, t.at)
	switch {
	case err != nil && problemOf(err).NotFound:
		crashpoint.Hit(crashpoint.BeforeCreate)
		live, err = c.config.Downstream.Apply(ctx, member, t.at, t.desired, false)
		crashpoint.Hit(crashpoint.AfterCreate)
		return live, err
	case err != nil:
		return nil, err
	case !isCopyOf(live, key.Object):
		return nil, collision("the member has an object of this name that TMC did not put there; it is left alone. Rename the workspace's object, or have the member's owner remove the other")
	default:
		return c.update(ctx, member, t)
	}
}

func (c *Controller) update(ctx context.Context, member workspace.Key, t task) (*unstructured.Unstructured, error) {
	crashpoint.Hit(crashpoint.BeforeUpdate)
	live, err := c.config.Downstream.Apply(ctx, member, t.at, t.desired, true)
	crashpoint.Hit(crashpoint.AfterUpdate)
	return live, err
}

// isCopyOf reports whether an object on a member says that it is a copy of an object, and is where that one's copy is.
func isCopyOf(live *unstructured.Unstructured, key workspace.Key) bool {
	origin, ok := transform.OriginOf(live)
	return ok && origin.Key() == key && live.GetName() == key.Name && live.GetNamespace() == transform.NamespaceName(key.Workspace, key.Namespace)
}

func collision(message string) *CallProblem {
	return &CallProblem{Reason: tmcv1alpha1.ReasonCollision, Message: message, Exists: true}
}

// ensureNamespace makes the namespace of an object on a member, unless it is there and ours.
func (c *Controller) ensureNamespace(ctx context.Context, member, object workspace.Key) error {
	name := transform.NamespaceName(object.Workspace, object.Namespace)
	at := Location{Resource: namespaces(), Name: name}
	live, found := c.config.Downstream.Copy(member, at)
	if !found {
		manifest := transform.Namespace(object.Workspace, c.config.Upstream.Path(object.Workspace), object.Namespace, c.config.PodSecurity)
		crashpoint.Hit(crashpoint.BeforeNamespace)
		_, err := c.config.Downstream.Create(ctx, member, at, manifest)
		crashpoint.Hit(crashpoint.AfterNamespace)
		if err == nil || !problemOf(err).Exists {
			return err
		}
		if live, err = c.config.Downstream.Get(ctx, member, at); err != nil {
			return err
		}
	}
	if !transform.OwnsNamespace(live, object.Workspace, object.Namespace) {
		return collision("the member has a namespace " + name + " that TMC did not make; it is left alone. Have the member's owner remove it")
	}
	if live.GetDeletionTimestamp() != nil {
		return &CallProblem{Reason: tmcv1alpha1.ReasonSyncing, Message: "the former namespace is still being removed from the member"}
	}
	return nil
}
