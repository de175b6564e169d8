//go:build !unix

package cli

import "os"

// windowSize knows no terminals on this system: what is live elsewhere is printed
// once, or line by line.
func windowSize(*os.File) (columns, rows int, ok bool) { return 0, 0, false }
