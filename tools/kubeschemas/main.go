// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubeschemas makes the APIResourceSchemas of the Kubernetes kinds that tenants get, from the OpenAPI documents
// that a Kubernetes release publishes.
//
// Which release is not said here: it is the k8s.io/kubernetes of a go.mod, that of the simulated members, so that what
// is offered and what it is tested against move together, and what is read has the checksum of go.sum. A schema is the
// release's own, but for what CRD storage asks for (see flatten) and the few defaults that kubectl counts on (see
// kinds). How schemas are named, and when one is written, is package schemafile's to say.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/kcp-dev/tmc/tools/schemagen/schemafile"
)

const kubernetesModule = "k8s.io/kubernetes"

func main() {
	module := flag.String("module", "test/member", "folder of the go.mod that says which Kubernetes release is meant")
	schemas := flag.String("schemas", "apis/manifests/kubernetes", "folder of the APIResourceSchemas")
	export := flag.String("export", "apis/manifests/provider/55-apiexport-kubernetes.yaml", "manifest of the APIExport")
	flag.Parse()

	folder := schemafile.Folder{Path: *schemas, Form: schemafile.JSON, Export: *export, Tracked: schemafile.TrackedByGit}
	if err := run(*module, folder, time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "kubeschemas:", err)
		os.Exit(1)
	}
}

// run brings the schemas and the export up to date with the Kubernetes release of the module.
func run(module string, folder schemafile.Folder, now time.Time) error {
	release, err := download(module)
	if err != nil {
		return err
	}
	crds, err := definitions(filepath.Join(release.Dir, "api", "openapi-spec", "v3"))
	if err != nil {
		return fmt.Errorf("reading the OpenAPI documents of Kubernetes %s: %w", release.Version, err)
	}
	if err := folder.Update(crds, now); err != nil {
		return err
	}
	return stateVersion(folder.Export, release.Version)
}

// release is what the go command says about a downloaded module.
type release struct {
	Version, Dir, Error string
}

// download fetches the module into the module cache, unless it is there, and checks it against go.sum.
func download(module string) (release, error) {
	cmd := exec.Command("go", "mod", "download", "-json", kubernetesModule)
	cmd.Dir = module
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	var r release
	if decodeErr := json.Unmarshal(output, &r); decodeErr != nil {
		return r, fmt.Errorf("downloading the module %s of %s: %w", kubernetesModule, module, errors.Join(err, decodeErr))
	}
	if err != nil || r.Error != "" {
		return r, fmt.Errorf("downloading the module %s of %s: %w", kubernetesModule, module, errors.Join(err, errors.New(r.Error)))
	}
	return r, nil
}

// definitions reads every kind that is offered.
func definitions(folder string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	offered := kinds()
	crds := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(offered))
	for i := range offered {
		crd, err := offered[i].definition(folder)
		if err != nil {
			return nil, fmt.Errorf("making the schema of %s: %w", offered[i].plural, err)
		}
		crds = append(crds, crd)
	}
	return crds, nil
}

// stateVersion writes the release into the annotation of the export, so that an operator can read it in kcp.
func stateVersion(export, version string) error {
	manifest, err := os.ReadFile(export)
	if err != nil {
		return fmt.Errorf("reading the APIExport: %w", err)
	}
	pattern := regexp.MustCompile(`(?m)^(\s*tmc\.kcp\.io/kubernetes-version: )v[0-9.]+$`)
	if found := len(pattern.FindAll(manifest, -1)); found != 1 {
		return fmt.Errorf("the APIExport states the Kubernetes release %d times instead of once: mend it by hand", found)
	}
	changed := pattern.ReplaceAll(manifest, []byte("${1}"+version))
	if bytes.Equal(changed, manifest) {
		return nil
	}
	if err := os.WriteFile(export, changed, 0o644); err != nil {
		return fmt.Errorf("writing the APIExport: %w", err)
	}
	return nil
}
