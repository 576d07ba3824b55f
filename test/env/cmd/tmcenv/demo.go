// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kcp-dev/tmc/test/env"
)

// demoMembers is how many members the demo is told about.
const demoMembers = 3

const upText = `Everything is up.
  administrator of kcp:  %s
  logs:                  %s
Next: make demo registers the members with a tenant; make down stops and removes everything.
`

// demoCommand runs the main job as a user would, with the user's own kubectl.
func demoCommand(o *env.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "demo", Short: "Start everything, register the members with a tenant, and show the tenant's view", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Members != 0 && o.Members < demoMembers {
				return fmt.Errorf("--members (MEMBERS) is %d: the demo places on two members and cordons a third, so it needs at least %d; make up takes any number", o.Members, demoMembers)
			}
			kubectl, err := env.FindKubectl() // ahead of the minutes that the rest may take
			if err != nil {
				return err
			}
			e, err := env.UpAll(cmd.Context(), *o, env.TMCOptions{})
			if err != nil {
				return err
			}
			tenant, err := e.Demo(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			show := &script{kubectl: kubectl, kubeconfig: tenant.Kubeconfig, out: out, errOut: cmd.ErrOrStderr()}
			if err := show.play(cmd.Context(), e); err != nil {
				return err
			}
			return nextSteps(out, e, tenant)
		},
	}
	sizeFlags(cmd, o)
	return cmd
}

func nextSteps(out io.Writer, e *env.Environment, tenant *env.Tenant) error {
	member := "east"
	if members := e.Members(); len(members) > 0 {
		member = members[0].Name
	}
	_, err := fmt.Fprintf(out, nextText, relative(tenant.Kubeconfig), member, relative(memberKubeconfig(e, member)))
	return err
}

const nextText = `
You are an ordinary user of a workspace. Go on with:
  export KUBECONFIG=%[1]s
  kubectl get pls shop -o yaml            # what runs where, and why nowhere else
  kubectl get pls -w                      # leave it running, and in another terminal:
    kubectl scale deployment/shop --replicas=12
    kubectl --kubeconfig %[3]s delete deployment -A -l tmc.kcp.io/managed=true    # it comes back
  kubectl get cst %[2]s -o yaml
  kubectl explain placement.spec
Stop and remove everything with: make down
`

func memberKubeconfig(e *env.Environment, name string) string {
	m, err := e.Member(name)
	if err != nil {
		return ""
	}
	return m.Kubeconfig
}

func statusCommand(o *env.Options) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "List the processes of the environment", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := env.Load(o.Dir)
			if err != nil {
				return err
			}
			processes, err := e.Processes()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, err = fmt.Fprintln(w, "PROCESS\tPID\tRUNNING\tLOG")
			for _, p := range processes {
				if err == nil {
					_, err = fmt.Fprintf(w, "%s\t%d\t%t\t%s\n", p.Name(), p.PID(), p.Running(), relative(p.LogPath()))
				}
			}
			if err != nil {
				return err
			}
			return w.Flush()
		},
	}
}
