package cli

import "strings"

// A column is one of a grid.
type column struct {
	title string
	right bool // numbers stand at the right
	// least is how narrow the column may become, by cutting its texts; zero: it
	// is never cut.
	least int
	// rank says which columns are left out where there is no room: those of the
	// highest rank first, and never those of rank 0.
	rank int
}

// gap stands between two columns.
const gap = 2

// drawGrid returns a grid as lines of at most so many columns, the titles first;
// columns of 0 have no bound. Cells must be printable.
func drawGrid(width int, columns []column, rows [][]string) []string {
	shown := make([]int, len(columns)) // indices of columns
	widths := make([]int, len(columns))
	for i, c := range columns {
		shown[i], widths[i] = i, columnsOfText(c.title)
		for _, r := range rows {
			widths[i] = max(widths[i], columnsOfText(r[i]))
		}
	}
	if width > 0 {
		shown = narrowGrid(width, columns, shown, widths)
	}
	lines := make([]string, 0, 1+len(rows))
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.title
	}
	for _, r := range append([][]string{titles}, rows...) {
		var b strings.Builder
		for _, i := range shown {
			if b.Len() > 0 {
				b.WriteString(strings.Repeat(" ", gap))
			}
			cell := fit(r[i], widths[i])
			if columns[i].right {
				cell = strings.Repeat(" ", widths[i]-columnsOfText(cell)) + cell
			}
			b.WriteString(pad(cell, widths[i]))
		}
		line := strings.TrimRight(b.String(), " ")
		if width > 0 {
			line = fit(line, width)
		}
		lines = append(lines, line)
	}
	return lines
}

// narrowGrid makes a grid fit, if it can be done: it leaves columns out until the
// rest fits at its narrowest, and then cuts the texts of those that may be cut.
func narrowGrid(width int, columns []column, shown, widths []int) []int {
	needed := func(narrowest bool) int {
		sum := gap * (len(shown) - 1)
		for _, i := range shown {
			if w := widths[i]; narrowest && columns[i].least > 0 {
				sum += min(w, columns[i].least)
			} else {
				sum += w
			}
		}
		return sum
	}
	for needed(true) > width {
		last := -1 // the position of what is missed least
		for at, i := range shown {
			if columns[i].rank > 0 && (last < 0 || columns[i].rank >= columns[shown[last]].rank) {
				last = at
			}
		}
		if last < 0 {
			break
		}
		shown = append(shown[:last], shown[last+1:]...)
	}
	for excess := needed(false) - width; excess > 0; excess-- {
		widest := -1
		for _, i := range shown {
			if l := columns[i].least; l > 0 && widths[i] > l && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return shown
}
