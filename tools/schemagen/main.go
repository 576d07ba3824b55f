// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Command schemagen turns CustomResourceDefinitions into the APIResourceSchemas that kcp exports.
//
// How schemas are named, and when one is written, is package schemafile's to say.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/kcp-dev/tmc/tools/schemagen/schemafile"
)

func main() {
	crds := flag.String("crds", "apis/manifests/crds", "folder of the CustomResourceDefinitions")
	schemas := flag.String("schemas", "apis/manifests/schemas", "folder of the APIResourceSchemas")
	export := flag.String("export", "apis/manifests/provider/50-apiexport.yaml", "manifest of the APIExport")
	flag.Parse()

	folder := schemafile.Folder{Path: *schemas, Form: schemafile.YAML, Export: *export, Tracked: schemafile.TrackedByGit}
	if err := run(*crds, folder, time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

// run brings the schemas and the export up to date with the CustomResourceDefinitions.
func run(crds string, folder schemafile.Folder, now time.Time) error {
	paths, err := filepath.Glob(filepath.Join(crds, "*.yaml"))
	if err != nil {
		return fmt.Errorf("listing %s: %w", crds, err)
	}
	if len(paths) == 0 {
		return fmt.Errorf("folder %s holds no CustomResourceDefinitions: run controller-gen first", crds)
	}
	all := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(paths))
	for _, path := range paths {
		crd, err := readCRD(path)
		if err != nil {
			return err
		}
		all = append(all, crd)
	}
	return folder.Update(all, now)
}

func readCRD(path string) (*apiextensionsv1.CustomResourceDefinition, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a CustomResourceDefinition: %w", err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(data, crd); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", path, err)
	}
	for i := range crd.Spec.Versions {
		if schema := crd.Spec.Versions[i].Schema; schema != nil {
			unwrap(schema.OpenAPIV3Schema)
		}
	}
	return crd, nil
}
