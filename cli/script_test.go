package cli

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the commands of testdata/script in folders of their own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
