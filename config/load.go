package config

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
)

// maxFile is how large a configuration file may be.
const maxFile = 1 << 20

// Load reads the configuration in the file at path, overrides it by environment
// variables and checks it. An empty path is a file without keys. The error is
// [Faults] where the configuration is wrong: all that is wrong with it.
//
// The variable of a key is named in docs/configuration.md, for example
// WEIR_LISTENER_CONFIG_HTTP_PORT; an empty one is not there. Lists are separated
// by commas. In every text of the file, $env{NAME} stands for the value of an
// environment variable, which must be there. A relative path in the file starts
// at the file's folder, in a variable at the working directory.
func Load(path string, getenv func(string) string) (Config, error) {
	var text []byte
	if path != "" {
		var err error
		if text, err = read(path); err != nil {
			return Config{}, fmt.Errorf("read configuration: %w", err)
		}
	}
	return Parse(path, text, getenv)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: is larger than %s", path, Size(maxFile))
	}
	return text, err
}

// Parse is Load with the text of the file at path.
func Parse(path string, text []byte, getenv func(string) string) (Config, error) {
	c := Default()
	d := &decoder{config: &c, file: path, getenv: getenv, places: map[place]source{}}
	if err := d.text(text); err != nil {
		return Config{}, err
	}
	d.environment()
	for _, f := range c.check() {
		d.place(f)
	}
	if len(d.faults) > 0 {
		slices.SortStableFunc(d.faults, func(a, b *Fault) int { return cmp.Compare(a.Line, b.Line) })
		return Config{}, d.faults
	}
	return c, nil
}

// environment overrides keys by environment variables.
func (d *decoder) environment() {
	for _, s := range d.config.sections() {
		if s.repeated() {
			continue
		}
		for _, k := range s.keysOf(s.value) {
			text := d.getenv(k.env())
			if text == "" {
				continue
			}
			err := setList(k.value, text)
			if err != nil {
				d.faults = append(d.faults, &Fault{File: k.env(), Key: k.String(), Message: err.Error()})
			}
			d.places[place{k.section, 0, k.name}] = source{file: k.env(), faulted: err != nil}
		}
	}
}

// setList sets v, which may be a list, to what text says, with commas between.
func setList(v reflect.Value, text string) error {
	if v.Kind() != reflect.Slice {
		return setText(v, text)
	}
	list := reflect.MakeSlice(v.Type(), 0, 4)
	for item := range bytes.SplitSeq([]byte(text), []byte(",")) {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := setText(e, string(bytes.TrimSpace(item))); err != nil {
			return err
		}
		list = reflect.Append(list, e)
	}
	v.Set(list)
	return nil
}
