package config

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
)

// maxFile is how large a configuration file may be.
const maxFile = 1 << 20

// Load is [LoadOf] of a lone gateway.
func Load(path string, getenv func(string) string) (Config, error) {
	return LoadOf(Microgateway, path, getenv)
}

// LoadOf reads the configuration of a role in the file at path, overrides it by
// environment variables and checks it. An empty path is a file without keys. The
// error is [Faults] where the configuration is wrong: all that is wrong with it.
//
// The variable of a key is named in docs/configuration.md, for example
// WEIR_LISTENER_CONFIG_HTTP_PORT; an empty one is not there. Lists are separated
// by commas. In every text of the file, $env{NAME} stands for the value of an
// environment variable, which must be there. A relative path in the file starts
// at the file's folder, in a variable at the working directory. Beside the key of a
// secret there is one with _file at its end, which names a file that has it.
func LoadOf(r Role, path string, getenv func(string) string) (Config, error) {
	var text []byte
	if path != "" {
		var err error
		if text, err = read(path); err != nil {
			return Config{}, fmt.Errorf("read configuration: %w", err)
		}
	}
	return ParseOf(r, path, text, getenv)
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

// Parse is [ParseOf] of a lone gateway.
func Parse(path string, text []byte, getenv func(string) string) (Config, error) {
	return ParseOf(Microgateway, path, text, getenv)
}

// ParseOf is [LoadOf] with the text of the file at path.
func ParseOf(r Role, path string, text []byte, getenv func(string) string) (Config, error) {
	c := DefaultOf(r)
	if path != "" {
		c.Node.Data = filepath.Join(filepath.Dir(path), c.Node.Data)
	}
	d := &decoder{config: &c, index: newIndex(&c), file: path, getenv: getenv, places: map[place]source{}}
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
	c.Notes = append(d.notes, d.unused()...)
	slices.SortStableFunc(c.Notes, func(a, b *Fault) int { return cmp.Compare(a.Line, b.Line) })
	return c, nil
}

// unused returns what to note of keys of a store that have no effect, since their section
// does not say where it is and another does.
func (d *decoder) unused() Faults {
	c := d.config
	if c.Shared(Gateway) == nil && c.Shared(TrafficManager) == nil {
		return nil
	}
	var notes Faults
	for at, from := range d.places {
		s, other := &c.KeyValueStore.Server, redisSection
		switch at.section {
		case storeSection:
		case redisSection, poolSection:
			s, other = &c.Redis.Server, storeSection
		default:
			continue
		}
		if at.name != "" && at.name != "min_gateway_count" && !s.isThere() {
			notes = append(notes, &Fault{from.file, from.line, at.section + "." + at.name, "has no effect: no host stands there, and so the store is that of " + other})
		}
	}
	slices.SortFunc(notes, func(a, b *Fault) int { return cmp.Compare(a.Key, b.Key) })
	return notes
}

// environment overrides keys by environment variables.
func (d *decoder) environment() {
	for _, s := range d.config.sections() {
		if s.repeated() || s.only() != "" && s.only() != d.config.Role.file() {
			continue
		}
		for _, k := range s.keysOf(s.value) {
			name := k.env()
			err := setList(k.value, d.getenv(name))
			if file := name + "_FILE"; k.isSecret() && d.getenv(file) != "" {
				if d.getenv(name) != "" {
					err = fmt.Errorf("is there as %s and as %s", name, file)
				} else {
					name = file
					var secret Secret
					secret, err = readSecret(d.getenv(file))
					k.value.SetString(string(secret))
				}
			}
			if d.getenv(name) == "" {
				continue
			}
			if err != nil {
				d.faults = append(d.faults, &Fault{File: name, Key: k.String(), Message: err.Error()})
			}
			d.places[place{k.section, 0, k.name}] = source{file: name, faulted: err != nil}
		}
	}
}

// setList sets v, which may be a list, to what text says, with commas between. An
// empty text changes nothing.
func setList(v reflect.Value, text string) error {
	if text == "" {
		return nil
	}
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
