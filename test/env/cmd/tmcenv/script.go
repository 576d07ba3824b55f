// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/kcp-dev/tmc/test/env"
)

// shop is an ordinary application: nothing in it knows of clusters.
const shop = `apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {currency: EUR}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 4
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: shop
        image: registry.example.com/shop:1
        ports: [{containerPort: 8080}]
        envFrom: [{configMapRef: {name: shop}}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
`

// twoMembers places everything in the namespace on the two members with most room, and divides the replicas.
const twoMembers = `apiVersion: tmc.kcp.io/v1alpha1
kind: Placement
metadata: {name: shop}
spec:
  numberOfClusters: 2
  replicaScheduling: {type: Divided}
`

// script types commands as a user would, and shows what they print.
type script struct {
	kubectl, kubeconfig string
	out, errOut         io.Writer
	err                 error
}

// say explains the next commands.
func (s *script) say(text string) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.out, "\n# %s\n", text)
	}
}

// run types a command. After one has failed, nothing more is typed.
func (s *script) run(ctx context.Context, args ...string) { s.feed(ctx, "", "", args...) }

// feed types a command that reads a manifest, which is called by a name.
func (s *script) feed(ctx context.Context, name, manifest string, args ...string) {
	if s.err != nil {
		return
	}
	shown := args
	if name != "" {
		shown = append(append([]string{}, args...), "-f", name)
		args = append(args, "-f", "-")
	}
	if _, s.err = fmt.Fprintf(s.out, "$ kubectl %s\n", typed(shown)); s.err != nil {
		return
	}
	cmd := exec.CommandContext(ctx, s.kubectl, append([]string{"--kubeconfig", s.kubeconfig}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(manifest), s.out, s.errOut
	if err := cmd.Run(); err != nil {
		s.err = fmt.Errorf("running kubectl %s: %w", strings.Join(shown, " "), err)
	}
}

// typed returns arguments as they are typed in a shell.
func typed(args []string) string {
	quoted := make([]string, 0, len(args))
	for _, arg := range args {
		if strings.ContainsAny(arg, " {}\"*$") {
			arg = "'" + arg + "'"
		}
		quoted = append(quoted, arg)
	}
	return strings.Join(quoted, " ")
}

// play shows the main job: a workload is applied in a workspace, runs on members, and its truth comes back.
func (s *script) play(ctx context.Context, e *env.Environment) error {
	s.say("The members that the workspace may use, live:")
	s.run(ctx, "get", "clusterstatus")
	s.say("An ordinary application, and where it may run:")
	s.feed(ctx, "shop.yaml", shop, "apply")
	s.feed(ctx, "placement.yaml", twoMembers, "apply")
	s.run(ctx, "rollout", "status", "deployment/shop", "--timeout=60s")
	s.run(ctx, "wait", "--for=condition=Ready", "placement/shop", "--timeout=60s")
	s.run(ctx, "get", "deployment,service,placement")
	s.run(ctx, "get", "placementstatus", "-o", "wide")
	s.say("An edit and a scale reach every member:")
	s.run(ctx, "set", "image", "deployment/shop", "shop=registry.example.com/shop:2")
	s.run(ctx, "scale", "deployment/shop", "--replicas=6")
	s.run(ctx, "rollout", "status", "deployment/shop", "--timeout=60s")
	if s.err == nil {
		s.err = s.showMembers(ctx, e)
	}
	s.say("A member that is cordoned takes nothing new, and keeps what it has:")
	s.run(ctx, "patch", "clusterregistration", "edge", "--type=merge", "-p", `{"spec":{"unschedulable":true}}`)
	s.run(ctx, "get", "placementstatus", "shop", "-o", `jsonpath={range .status.clusters[*]}{.clusterName}: {.workloads.ready} of {.workloads.desired} copies ready{"\n"}{end}{range .status.notChosen[*]}{.clusterName}: {.reason}, {.message}{"\n"}{end}`)
	return s.err
}

// showMembers looks at the members as their administrators.
func (s *script) showMembers(ctx context.Context, e *env.Environment) error {
	s.say("What the members' own administrators see:")
	for _, m := range e.Members() {
		if _, err := fmt.Fprintf(s.out, "$ kubectl --kubeconfig %s get deployments -A -l tmc.kcp.io/managed=true\n", relative(m.Kubeconfig)); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, s.kubectl, "--kubeconfig", m.Kubeconfig, "get", "deployments", "-A", "-l", "tmc.kcp.io/managed=true")
		cmd.Stdout, cmd.Stderr = s.out, s.errOut
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("looking at member %s: %w", m.Name, err)
		}
	}
	return s.err
}
