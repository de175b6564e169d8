package app

import "testing"

func TestSoftLimit(t *testing.T) {
	tests := []struct {
		text string
		want int64
	}{
		{"max\n", 0},
		{"134217728\n", 120795948},
		{"0", 0},
		{"-1", 0},
		{"", 0},
		{"128M", 0},
	}
	for _, tt := range tests {
		if got := softLimit(tt.text); got != tt.want {
			t.Errorf("%q: got %d, want %d", tt.text, got, tt.want)
		}
	}
}
