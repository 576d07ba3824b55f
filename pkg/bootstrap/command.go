// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"
)

// flags are the options as typed.
type flags struct {
	Options
	kubeconfig    string
	context       string
	webhookCAFile string
}

// NewCommand returns `tmc-apiserver init`, which writes its report to out.
func NewCommand(out io.Writer) *cobra.Command {
	f := &flags{Options: Options{
		ProviderWorkspace: "root:tmc",
		WorkspaceType:     "root:universal",
		ServerUser:        "tmc-apiserver",
		TenantGroup:       "system:authenticated",
		Timeout:           3 * time.Minute,
	}}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Prepare kcp for tmc-apiserver, or upgrade what an older version prepared",
		Long: `Prepare kcp for tmc-apiserver, or upgrade what an older version prepared.

Creates the provider workspace and, in it, the schemas of TMC's kinds and of Kubernetes', the two APIExports
and their maximal permission policies, the endpoint slice of the views, the rights of the server's user, a
WorkspaceType for tenants and, with --webhook-url, the webhook that keeps patches from losing data.
Needs an administrator of the provider workspace and of its parent. A second run changes nothing.`,
		Example: `  # Show what an upgrade would change, then do it.
  tmc-apiserver init --kubeconfig=admin.kubeconfig --webhook-url=https://tmc.example.com:6443 --dry-run
  tmc-apiserver init --kubeconfig=admin.kubeconfig --webhook-url=https://tmc.example.com:6443`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(f.readWebhookCA(), f.validate()); err != nil {
				return err
			}
			rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: f.kubeconfig}
			admin, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
				&clientcmd.ConfigOverrides{CurrentContext: f.context}).ClientConfig()
			if err != nil {
				return fmt.Errorf("loading --kubeconfig=%s: %w", f.kubeconfig, err)
			}
			return Run(cmd.Context(), admin, f.Options, out)
		},
	}
	f.addTo(cmd.Flags())
	cmd.SetOut(out)
	return cmd
}

func (f *flags) addTo(fs *pflag.FlagSet) {
	fs.StringVar(&f.kubeconfig, "kubeconfig", f.kubeconfig, "Kubeconfig of an administrator of kcp. Its server may name any workspace.")
	fs.StringVar(&f.context, "context", f.context, "Context of the kubeconfig; the current one if unset.")
	fs.StringVar(&f.ProviderWorkspace, "provider-workspace", f.ProviderWorkspace, "Path of the workspace that holds the APIExport. It is created if it is absent; its parent must exist.")
	fs.StringVar(&f.WorkspaceType, "provider-workspace-type", f.WorkspaceType, "Path and name of the provider workspace's type.")
	fs.StringVar(&f.ServerUser, "server-user", f.ServerUser, "User name with which tmc-apiserver meets kcp: the common name of its client certificate.")
	fs.StringVar(&f.TenantGroup, "tenant-group", f.TenantGroup, "Group whose members may bind the APIExport and make workspaces of the type tmc.")
	fs.StringVar(&f.WebhookURL, "webhook-url", f.WebhookURL, "Address at which kcp's shards reach tmc-apiserver, such as https://tmc.example.com:6443. They ask it about updates that a strategic merge patch may have damaged.")
	fs.BoolVar(&f.WithoutWebhook, "without-webhook", f.WithoutWebhook, "Install no webhook. Strategic merge patches, such as those of kubectl apply, then lose data.")
	fs.StringVar(&f.webhookCAFile, "webhook-ca-file", f.webhookCAFile, "File with the certificate authorities, in PEM, of the certificate at --webhook-url; those of the shards' systems if unset.")
	fs.BoolVar(&f.DryRun, "dry-run", f.DryRun, "Show what would change, field by field, and write nothing.")
	fs.DurationVar(&f.Timeout, "timeout", f.Timeout, "How long the whole run may take.")
}

func (f *flags) readWebhookCA() error {
	if f.webhookCAFile == "" {
		return nil
	}
	data, err := os.ReadFile(f.webhookCAFile)
	if err != nil {
		return fmt.Errorf("reading --webhook-ca-file: %w", err)
	}
	f.WebhookCA = data
	return nil
}

// validate reports every problem at once.
func (f *flags) validate() error {
	var errs []error
	if f.kubeconfig == "" {
		errs = append(errs, errors.New("--kubeconfig is required: it names an administrator of kcp"))
	}
	return errors.Join(append(errs, f.Validate())...)
}
