package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker; see the Makefile.
var version string

// A build says what a binary was made from.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	return b
}

func newVersion() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:     "version",
		Short:   "Say what this program was built from",
		Example: "  weir version\n  weir version -o json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			b := readBuild()
			if out.json() {
				return out.print(c, b)
			}
			fmt.Fprintf(c.OutOrStdout(), "weir %s (%s, %s)\n", b.Version, b.Go, b.Platform)
			return nil
		},
	}
	out.flag(c, "text")
	return c
}
