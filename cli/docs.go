package cli

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newDocs is for packagers: it writes the pages that they ship.
func newDocs(root *cobra.Command) *cobra.Command {
	format := "man"
	c := &cobra.Command{
		Use:     "docs FOLDER",
		Short:   "Write the manual pages of all commands",
		Hidden:  true,
		Example: "  weir docs --format man /usr/local/share/man/man1",
		Args:    exactly("FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains([]string{"man", "markdown"}, format) {
				return usagef(c, "--format %s: it is man or markdown", format)
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("make folder: %w", err)
			}
			root.DisableAutoGenTag = true
			if format == "markdown" {
				return doc.GenMarkdownTree(root, args[0])
			}
			return doc.GenManTree(root, &doc.GenManHeader{Title: "WEIR", Section: "1", Source: "Weir"}, args[0])
		},
	}
	c.Flags().StringVar(&format, "format", format, "man or markdown")
	return c
}
