// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Command controlplane is etcd and the Kubernetes control plane in one program, the first argument choosing the part.
// One binary is a third of the size of four, as they share most of their packages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("name a part: etcd, apiserver, controller-manager or scheduler")
	}
	rest := args[2:]
	switch args[1] {
	case "etcd":
		return etcd(rest)
	case "apiserver":
		return execute(apiserver.NewAPIServerCommand(), rest)
	case "controller-manager":
		return execute(controllermanager.NewControllerManagerCommand(), rest)
	case "scheduler":
		return execute(scheduler.NewSchedulerCommand(), rest)
	}
	return fmt.Errorf("there is no part %q; the parts are etcd, apiserver, controller-manager and scheduler", args[1])
}

func execute(command *cobra.Command, args []string) error {
	command.SetArgs(args)
	if code := cli.Run(command); code != 0 {
		return fmt.Errorf("%s ended with status %d", command.Name(), code)
	}
	return nil
}

func etcd(args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	directory := flags.String("data-dir", "", "folder of the data")
	client := flags.String("client-url", "", "http URL for the API server, on loopback")
	peer := flags.String("peer-url", "", "http URL for other members, of which there are none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config, err := etcdConfig(*directory, *client, *peer)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	server, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("starting etcd in %s: %w", *directory, err)
	}
	defer server.Close()
	select {
	case err := <-server.Err():
		return fmt.Errorf("etcd stopped by itself: %w", err)
	case <-server.Server.StopNotify():
		return errors.New("etcd stopped by itself; its log says why")
	case <-ctx.Done():
		return nil
	}
}

func etcdConfig(directory, client, peer string) (*embed.Config, error) {
	if directory == "" {
		return nil, errors.New("etcd wants --data-dir")
	}
	clientURL, err := loopback("--client-url", client)
	if err != nil {
		return nil, err
	}
	peerURL, err := loopback("--peer-url", peer)
	if err != nil {
		return nil, err
	}
	config := embed.NewConfig()
	config.Name = "sandbox"
	config.Dir = directory
	config.LogLevel = "warn"
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{clientURL}, []url.URL{clientURL}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peerURL}, []url.URL{peerURL}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	// The data outlives the process, not a power cut, and writes on a laptop are many times faster for it.
	config.UnsafeNoFsync = true
	config.QuotaBackendBytes = 512 << 20
	config.AutoCompactionMode = "periodic"
	config.AutoCompactionRetention = "5m"
	config.SnapshotCount = 1000
	// Left at zero, which is not etcd's own default, every request is warned of.
	config.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	return config, config.Validate()
}

func loopback(option, text string) (url.URL, error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "http" || !strings.HasPrefix(parsed.Host, "127.") {
		return url.URL{}, fmt.Errorf("etcd wants %s http://127.0.0.1:PORT, not %q", option, text)
	}
	return *parsed, nil
}
