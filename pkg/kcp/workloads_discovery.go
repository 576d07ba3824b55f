// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// maxDiscovery bounds one answer.
const maxDiscovery = 4 << 20

// discovery is what an endpoint shows, in the version that it prefers.
type discovery struct {
	resources map[schema.GroupResource]Resource
	unsure    []string // groups that were not found out, as far as resources lack them
}

// discover asks the endpoint what it shows. kcp's endpoints of exports serve neither aggregated discovery nor a list of
// core versions.
func (s *shard) discover(ctx context.Context) (discovery, error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	found := discovery{resources: map[schema.GroupResource]Resource{}}
	var groups metav1.APIGroupList
	if err := s.get(ctx, "/apis", &groups); err != nil {
		return found, err
	}
	s.discoverVersions(ctx, &found, metav1.APIGroup{Versions: []metav1.GroupVersionForDiscovery{{GroupVersion: "v1", Version: "v1"}}})
	for _, group := range groups.Groups {
		if group.Name != "" && !excludedGroup(group.Name) {
			s.discoverVersions(ctx, &found, group)
		}
	}
	return found, nil
}

// discoverVersions adds the resources of a group, each in the first version that has it.
func (s *shard) discoverVersions(ctx context.Context, found *discovery, group metav1.APIGroup) {
	for _, version := range group.Versions {
		path := "/apis/" + group.Name + "/" + version.Version
		if group.Name == "" {
			path = "/api/" + version.Version
		}
		var list metav1.APIResourceList
		err := s.get(ctx, path, &list)
		if err != nil && !apierrors.IsNotFound(err) {
			found.unsure = append(found.unsure, group.Name)
			continue
		}
		for name, resource := range resourcesOf(schema.GroupVersion{Group: group.Name, Version: version.Version}, list.APIResources) {
			if _, known := found.resources[name]; !known {
				found.resources[name] = resource
			}
		}
	}
}

// resourcesOf picks what can be followed: namespaced, listed and watched.
func resourcesOf(version schema.GroupVersion, all []metav1.APIResource) map[schema.GroupResource]Resource {
	out := map[schema.GroupResource]Resource{}
	for _, one := range all {
		if !one.Namespaced || one.Name == "" || strings.Contains(one.Name, "/") || excludedResource(one.Name) ||
			!slices.Contains(one.Verbs, "list") || !slices.Contains(one.Verbs, "watch") {
			continue
		}
		gvr := version.WithResource(one.Name)
		out[gvr.GroupResource()] = Resource{
			GVR: gvr, Kind: one.Kind,
			Status: hasSubresource(all, one.Name, "status"), Scale: hasSubresource(all, one.Name, "scale"),
		}
	}
	return out
}

func hasSubresource(all []metav1.APIResource, resource, subresource string) bool {
	return slices.ContainsFunc(all, func(one metav1.APIResource) bool { return one.Name == resource+"/"+subresource })
}

// excludedGroup reports whether a group is about access or about kcp itself. It is never followed, whatever is claimed.
func excludedGroup(group string) bool {
	switch group {
	case "authorization.k8s.io", "authentication.k8s.io", "rbac.authorization.k8s.io":
		return true
	}
	return group == "kcp.io" || strings.HasSuffix(group, ".kcp.io")
}

// excludedResource reports whether a resource is never followed: there are many of its objects, they change all the
// time, and they mean nothing elsewhere.
func excludedResource(resource string) bool { return resource == "events" || resource == "leases" }

// get reads a document of discovery for all workspaces.
func (s *shard) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint.url+clustersPath+workspace.Wildcard.String()+path, nil)
	if err != nil {
		return fmt.Errorf("building the request for %s: %w", path, err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.workloads.http.Do(request)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("reading %s: %w", path, apierrors.NewGenericServerResponse(response.StatusCode, "get", schema.GroupResource{}, path, "", 0, false))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDiscovery))
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decoding %s: %w", path, err)
	}
	return nil
}
