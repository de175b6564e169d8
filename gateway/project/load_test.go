package project

import (
	"bytes"
	"reflect"
	"testing"
)

func TestLoadThenRead(t *testing.T) {
	p, err := Load("testdata/shop")
	if err != nil {
		t.Fatal(err)
	}
	data, err := encodeArtifact(&p.Definition)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Read(bytes.NewReader(data))
	if err != nil || !reflect.DeepEqual(d, p.Definition) {
		t.Errorf("got %+v %v, want %+v", d, err, p.Definition)
	}
}
