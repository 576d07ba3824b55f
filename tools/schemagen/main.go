// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Command schemagen turns CustomResourceDefinitions into the APIResourceSchemas that kcp exports.
//
// A schema's name is v<yymmdd>-<hash8>.<plural>.<group>: the hash is that of the schema's content, the date is the day
// on which that content was first seen. A schema that exists is never written again, so that a change of a kind always
// is a new schema; the APIExport is switched to it. Superseded schemas stay, unless git has never known them: those
// were drafts.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	apisv1alpha1 "github.com/kcp-dev/sdk/apis/apis/v1alpha1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

func main() {
	crds := flag.String("crds", "apis/manifests/crds", "folder of the CustomResourceDefinitions")
	schemas := flag.String("schemas", "apis/manifests/schemas", "folder of the APIResourceSchemas")
	export := flag.String("export", "apis/manifests/provider/50-apiexport.yaml", "manifest of the APIExport")
	flag.Parse()

	if err := run(*crds, *schemas, *export, time.Now(), trackedByGit); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

// run brings the schemas and the export up to date with the CustomResourceDefinitions.
func run(crds, schemas, export string, now time.Time, tracked func(file string) bool) error {
	paths, err := filepath.Glob(filepath.Join(crds, "*.yaml"))
	if err != nil {
		return fmt.Errorf("listing %s: %w", crds, err)
	}
	if len(paths) == 0 {
		return fmt.Errorf("folder %s holds no CustomResourceDefinitions: run controller-gen first", crds)
	}
	manifest, err := os.ReadFile(export)
	if err != nil {
		return fmt.Errorf("reading the APIExport: %w", err)
	}
	for _, path := range paths {
		crd, err := readCRD(path)
		if err != nil {
			return err
		}
		name, err := ensureSchema(schemas, crd, now)
		if err != nil {
			return err
		}
		if manifest, err = switchSchema(manifest, crd.Name, name); err != nil {
			return err
		}
		if err := dropDrafts(schemas, crd.Name, name, tracked); err != nil {
			return err
		}
	}
	if err := os.WriteFile(export, manifest, 0o644); err != nil {
		return fmt.Errorf("writing the APIExport: %w", err)
	}
	return nil
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

// ensureSchema returns the name of the schema with the content of crd, and writes it if there is none yet.
func ensureSchema(folder string, crd *apiextensionsv1.CustomResourceDefinition, now time.Time) (string, error) {
	content, err := convert(crd, "draft")
	if err != nil {
		return "", err
	}
	hash, err := hashOf(content["spec"])
	if err != nil {
		return "", fmt.Errorf("hashing the schema of %s: %w", crd.Name, err)
	}
	suffix := "-" + hash + "." + crd.Name
	existing, err := filepath.Glob(filepath.Join(folder, "v??????"+suffix+".yaml"))
	if err != nil {
		return "", fmt.Errorf("listing %s: %w", folder, err)
	}
	if len(existing) > 0 {
		slices.Sort(existing)
		base := filepath.Base(existing[0])
		return base[:len(base)-len(".yaml")], nil
	}

	name := now.UTC().Format("v060102") + suffix
	content["metadata"] = map[string]any{"name": name}
	data, err := yaml.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("encoding schema %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".yaml"), data, 0o644); err != nil {
		return "", fmt.Errorf("writing schema %s: %w", name, err)
	}
	return name, nil
}

// convert returns the APIResourceSchema of crd without what the server fills in.
func convert(crd *apiextensionsv1.CustomResourceDefinition, prefix string) (map[string]any, error) {
	schema, err := apisv1alpha1.CRDToAPIResourceSchema(crd, prefix)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", crd.Name, err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(schema)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", crd.Name, err)
	}
	content["apiVersion"], content["kind"] = apisv1alpha1.SchemeGroupVersion.String(), "APIResourceSchema"
	delete(content, "status")
	return content, nil
}

// hashOf is the first half of a name's promise: equal content, equal hash. JSON orders the keys of maps.
func hashOf(spec any) (string, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4]), nil
}

// switchSchema makes the export name another schema of one resource, and leaves the rest of the text alone.
func switchSchema(manifest []byte, resource, name string) ([]byte, error) {
	pattern := regexp.MustCompile(`(?m)^(\s*schema: )v[0-9]{6}-[0-9a-f]{8}\.` + regexp.QuoteMeta(resource) + `$`)
	if found := len(pattern.FindAll(manifest, -1)); found != 1 {
		return nil, fmt.Errorf("the APIExport names a schema of %s %d times instead of once: add the resource to it by hand", resource, found)
	}
	return pattern.ReplaceAll(manifest, []byte("${1}"+name)), nil
}

// dropDrafts removes superseded schemas that were never committed, and so never released.
func dropDrafts(folder, resource, current string, tracked func(string) bool) error {
	paths, err := filepath.Glob(filepath.Join(folder, "v??????-????????."+resource+".yaml"))
	if err != nil {
		return fmt.Errorf("listing %s: %w", folder, err)
	}
	var errs []error
	for _, path := range paths {
		if filepath.Base(path) != current+".yaml" && !tracked(path) {
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(errs...)
}

// trackedByGit says whether git knows the file. Where git cannot tell, the file counts as known and is kept.
func trackedByGit(file string) bool {
	err := exec.Command("git", "ls-files", "--error-unmatch", "--", file).Run()
	var exit *exec.ExitError
	return !errors.As(err, &exit) || exit.ExitCode() != 1
}
