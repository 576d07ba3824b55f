// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// NewScheme returns a scheme with the kinds that this server serves.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := tmcv1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering the kinds of %s: %w", tmcv1alpha1.GroupName, err)
	}
	if err := scheme.SetVersionPriority(tmcv1alpha1.SchemeGroupVersion()); err != nil {
		return nil, fmt.Errorf("ordering the versions of %s: %w", tmcv1alpha1.GroupName, err)
	}
	unversioned := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, unversioned)
	scheme.AddUnversionedTypes(unversioned,
		&metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{},
	)
	return scheme, nil
}

// textCodecs serves JSON and YAML only. The kinds of this server have no protobuf form, so that a client that would
// rather have one must be told, and falls back.
type textCodecs struct {
	serializer.CodecFactory
}

var _ runtime.NegotiatedSerializer = textCodecs{}

// SupportedMediaTypes leaves out what the kinds cannot be encoded in.
func (c textCodecs) SupportedMediaTypes() []runtime.SerializerInfo {
	var infos []runtime.SerializerInfo
	for _, info := range c.CodecFactory.SupportedMediaTypes() {
		if info.MediaType == runtime.ContentTypeJSON || info.MediaType == runtime.ContentTypeYAML {
			infos = append(infos, info)
		}
	}
	return infos
}
