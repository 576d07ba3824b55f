// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/kcp-dev/tmc/apis/manifests"
)

// offered is the current schema of a kind, as an API server uses it.
type offered struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
}

// readOffered returns the schemas that the export names, by kind.
func readOffered(t *testing.T) map[string]offered {
	t.Helper()
	objects, err := manifests.Provider(manifests.Parameters{})
	if err != nil {
		t.Fatal(err)
	}
	current := map[string]bool{}
	for _, object := range objects {
		current[object.GetName()] = true
	}
	schemas, err := manifests.KubernetesSchemas()
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[string]offered{}
	for name, object := range schemas {
		if !current[name] {
			continue
		}
		kind, _, _ := unstructured.NestedString(object.Object, "spec", "names", "kind")
		byKind[kind] = readStructural(t, object)
	}
	if len(byKind) != len(kinds()) {
		t.Fatalf("the export names %d schemas, wanted %d", len(byKind), len(kinds()))
	}
	return byKind
}

func readStructural(t *testing.T, object *unstructured.Unstructured) offered {
	t.Helper()
	versions, _, _ := unstructured.NestedSlice(object.Object, "spec", "versions")
	data, err := json.Marshal(versions[0].(map[string]any)["schema"])
	if err != nil {
		t.Fatal(err)
	}
	props, internal := &apiextensionsv1.JSONSchemaProps{}, &apiextensions.JSONSchemaProps{}
	if err := json.Unmarshal(data, props); err != nil {
		t.Fatal(err)
	}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, internal, nil); err != nil {
		t.Fatal(err)
	}
	structural, err := schema.NewStructural(internal)
	if err != nil {
		t.Fatalf("schema %s is not structural: %v", object.GetName(), err)
	}
	if errs := schema.ValidateStructural(nil, structural); len(errs) > 0 {
		t.Fatalf("schema %s is not structural: %v", object.GetName(), errs.ToAggregate())
	}
	validator, _, err := validation.NewSchemaValidator(internal)
	if err != nil {
		t.Fatal(err)
	}
	return offered{structural: structural, validator: validator}
}

// admit does to an object what the API server does when it is applied, and returns the paths of the fields that it does not know.
func (o offered) admit(object map[string]any) (unknown []string, err error) {
	defaulting.Default(object, o.structural)
	unknown = pruning.PruneWithOptions(object, o.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	return unknown, validation.ValidateCustomResource(nil, object, o.validator).ToAggregate()
}

// TestOfferedKindsTakeOrdinaryObjects: what works on a cluster works in a workspace, and nothing of it is lost. What is
// filled in is shown, too.
func TestOfferedKindsTakeOrdinaryObjects(t *testing.T) {
	t.Parallel()
	byKind := readOffered(t)
	tests := map[string]struct{ object, filledIn string }{
		"a Deployment": {object: `
kind: Deployment
spec:
  selector: {matchLabels: {app: web}}
  strategy: {}
  template:
    metadata: {creationTimestamp: null, labels: {app: web}, annotations: {a: b}}
    spec:
      imagePullSecrets: [{name: pull}]
      topologySpreadConstraints: [{topologyKey: zone, whenUnsatisfiable: DoNotSchedule, maxSkew: 1}]
      volumes: [{name: data, emptyDir: {sizeLimit: 1Gi}}, {name: config, projected: {sources: [{configMap: {name: c, items: [{key: k, path: p}]}}]}}]
      containers:
      - name: web
        image: web:1
        resources: {requests: {cpu: 1, memory: 64Mi, example.com/gpu: "2"}, limits: {cpu: 1500m}}
        ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]
        readinessProbe: {httpGet: {port: http, path: /}, periodSeconds: 5}
        livenessProbe: {tcpSocket: {port: 80}}
        env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]
        volumeMounts: [{name: data, mountPath: /data}]
status: {}
`, filledIn: `
spec:
  replicas: 1
  template: {spec: {containers: [{ports: [{protocol: TCP}]}]}}
`},
		"a Deployment as charts write it": {object: `
kind: Deployment
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: null}
    spec: {nodeSelector: null, tolerations: null, affinity: null, containers: [{name: web, env: null, resources: null, args: null}]}
`, filledIn: "spec: {replicas: 1}"},
		"a StatefulSet": {object: `
kind: StatefulSet
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db}]}}
  volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata: {name: data, creationTimestamp: null}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
    status: {phase: Pending}
`, filledIn: "spec: {replicas: 1, updateStrategy: {type: RollingUpdate}}"},
		"a DaemonSet": {object: `
kind: DaemonSet
spec:
  selector: {matchLabels: {app: log}}
  updateStrategy: {rollingUpdate: {maxUnavailable: 10%, maxSurge: 0}}
  template: {spec: {containers: [{name: log}]}}
`, filledIn: "spec: {updateStrategy: {type: RollingUpdate}}"},
		"a Job": {object: "kind: Job\nspec: {completions: 3, template: {spec: {restartPolicy: Never, containers: [{name: c}]}}}\n"},
		"a CronJob": {
			object:   "kind: CronJob\nspec: {schedule: '@daily', jobTemplate: {spec: {template: {spec: {containers: [{name: c}]}}}}}\n",
			filledIn: "spec: {suspend: false}",
		},
		"a Service": {
			object:   "kind: Service\nspec: {selector: {app: web}, ports: [{port: 80, targetPort: http}, {port: 53, protocol: UDP, targetPort: 53}]}\nstatus: {loadBalancer: {}}\n",
			filledIn: "spec: {type: ClusterIP, ports: [{protocol: TCP}]}",
		},
		"a PersistentVolumeClaim": {object: "kind: PersistentVolumeClaim\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"},
		"an Ingress": {object: `
kind: Ingress
spec: {rules: [{host: a.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`},
		"a NetworkPolicy":       {object: "kind: NetworkPolicy\nspec: {podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80}, {port: http}]}]}\n"},
		"a PodDisruptionBudget": {object: "kind: PodDisruptionBudget\nspec: {minAvailable: 50%, selector: {matchLabels: {app: web}}}\n"},
		"a HorizontalPodAutoscaler": {object: `
kind: HorizontalPodAutoscaler
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 5
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
`, filledIn: "spec: {minReplicas: 1}"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object, want := decodeYAML(t, tc.object), decodeYAML(t, tc.object)
			merge(want, decodeYAML(t, tc.filledIn))
			unknown, err := byKind[object["kind"].(string)].admit(object)
			if err != nil {
				t.Errorf("refused: %v", err)
			}
			if len(unknown) > 0 {
				t.Errorf("the fields %v are not known", unknown)
			}
			if diff := cmp.Diff(want, object); diff != "" {
				t.Errorf("the object as stored (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOfferedKindsRefuse: what is wrong on a cluster is told in the workspace already, where a schema can tell.
func TestOfferedKindsRefuse(t *testing.T) {
	t.Parallel()
	byKind := readOffered(t)
	const template = "template: {spec: {containers: [{name: c, %}]}}"
	tests := map[string]struct{ object, want string }{
		"a Deployment without a selector": {object: "kind: Deployment\nspec: {template: {}}\n", want: "spec.selector"},
		"a container without a name":      {object: "kind: Deployment\nspec: {selector: {}, template: {spec: {containers: [{image: x}]}}}\n", want: "name"},
		"replicas that are a word":        {object: "kind: Deployment\nspec: {selector: {}, replicas: many, template: {}}\n", want: "spec.replicas"},
		"a quantity that is none":         {object: "kind: Deployment\nspec: {selector: {}, " + strings.ReplaceAll(template, "%", "resources: {limits: {cpu: lots}}") + "}\n", want: "limits.cpu"},
		"a quantity that is a fraction":   {object: "kind: Deployment\nspec: {selector: {}, " + strings.ReplaceAll(template, "%", "resources: {limits: {cpu: 0.5}}") + "}\n", want: "limits.cpu"},
		"a port that is a list":           {object: "kind: Deployment\nspec: {selector: {}, " + strings.ReplaceAll(template, "%", "livenessProbe: {tcpSocket: {port: [1]}}") + "}\n", want: "tcpSocket.port"},
		"a path without a type":           {object: "kind: Ingress\nspec: {rules: [{http: {paths: [{backend: {}}]}}]}\n", want: "pathType"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := decodeYAML(t, tc.object)
			if _, err := byKind[object["kind"].(string)].admit(object); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, wanted a refusal of %s", err, tc.want)
			}
		})
	}
}

func decodeYAML(t *testing.T, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	object := map[string]any{}
	if err := utiljson.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// merge adds fields, to the entries of lists by their position.
func merge(into, from map[string]any) {
	for key, value := range from {
		switch v := value.(type) {
		case map[string]any:
			if inner, ok := into[key].(map[string]any); ok {
				merge(inner, v)
				continue
			}
		case []any:
			if list, ok := into[key].([]any); ok {
				for i := range v {
					merge(list[i].(map[string]any), v[i].(map[string]any))
				}
				continue
			}
		}
		into[key] = value
	}
}
