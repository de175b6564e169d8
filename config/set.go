package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// set sets k to a value of the file, or to what is in the file that it names.
func (d *decoder) set(k key, value *unstable.Node, file bool) error {
	switch {
	case file:
		var name string
		v := reflect.ValueOf(&name).Elem()
		if err := d.setOne(k, v, value); err != nil {
			return err
		}
		secret, err := readSecret(d.beside(name))
		k.value.SetString(string(secret))
		return err
	case k.value.Kind() != reflect.Slice:
		return d.setOne(k, k.value, value)
	}
	list := reflect.MakeSlice(k.value.Type(), 0, 4)
	add := func(n *unstable.Node) error {
		item := reflect.New(k.value.Type().Elem()).Elem()
		if err := d.setOne(k, item, n); err != nil {
			return err
		}
		if item.Kind() != reflect.String || item.String() != "" {
			list = reflect.Append(list, item)
		}
		return nil
	}
	if value.Kind != unstable.Array {
		if err := add(value); err != nil {
			return err
		}
	} else {
		for it := value.Children(); it.Next(); {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			if err := add(it.Node()); err != nil {
				return err
			}
		}
	}
	k.value.Set(list)
	return nil
}

// setOne sets v, which is k's value or one in its list.
func (d *decoder) setOne(k key, v reflect.Value, value *unstable.Node) error {
	text := string(value.Data)
	switch value.Kind {
	case unstable.String:
		return d.setString(k, v, text)
	case unstable.Integer:
		if v.Kind() == reflect.String {
			return errors.New("must be text in quotes")
		}
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil {
			return errors.New("is too large a number")
		}
		return setText(v, strconv.FormatInt(n, 10))
	case unstable.Bool:
		if v.Kind() == reflect.String {
			return errors.New("must be text in quotes")
		}
		return setText(v, text)
	case unstable.Array:
		return errors.New("must be one value, not a list")
	case unstable.InlineTable:
		return errors.New("must be one value, not a table")
	}
	if v.Kind() == reflect.String {
		return errors.New("must be text in quotes")
	}
	return setText(v, text)
}

// setString sets v to a text of the file.
func (d *decoder) setString(k key, v reflect.Value, text string) error {
	expanded, err := d.expand(text)
	switch {
	case err != nil:
		return err
	case k.isPlaceholder(text):
		if v.Kind() == reflect.String {
			v.SetString("placeholder") // as if it were filled in: nothing else follows from it
		}
		return fmt.Errorf("is still a placeholder: write %s", k.field.Tag.Get("put"))
	case (v.Kind() == reflect.Bool || v.Type() == reflect.TypeFor[int]()) && expanded == text && !d.quoted(k):
		if err := setText(v, text); err != nil {
			return err
		}
		return errors.New("must be written without quotes")
	}
	if k.field.Tag.Get("kind") == "file" {
		expanded = d.beside(expanded)
	}
	return setText(v, expanded)
}

// isPlaceholder reports whether text, such as <host>, is what documents have in place of
// a value of k. What is in a variable or in a file of its own is none.
func (k key) isPlaceholder(text string) bool {
	return k.field.Tag.Get("put") != "" && strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">")
}

// quoted reports whether the numbers of k's section may stand in quotes.
func (d *decoder) quoted(k key) bool {
	return d.index.sections[k.section].field.Tag.Get("quoted") != ""
}

// beside returns the path of a file that is named in the configuration.
func (d *decoder) beside(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(d.file), name)
}

// maxSecret is how large the file of a secret may be.
const maxSecret = 64 << 10

// readSecret returns the secret in a file, without the end of its last line.
func readSecret(name string) (Secret, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("names %s, which is no regular file", name)
	case info.Size() > maxSecret:
		return "", fmt.Errorf("names a file of %d bytes; a secret has at most %d", info.Size(), maxSecret)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("names %s, which is empty", name)
	}
	return Secret(secret), nil
}

// expand puts in the environment variables that text names.
func (d *decoder) expand(text string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "$env{")
		if strings.Contains(before, "$ref{") {
			return "", errors.New(`has "$ref{", which is not known here: write the value, or $env{NAME}`)
		}
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, rest, found := strings.Cut(after, "}")
		if !found {
			return "", errors.New(`has "$env{" without "}"`)
		}
		value := d.getenv(name)
		if value == "" {
			return "", fmt.Errorf("names the environment variable %q, which is not set", name)
		}
		b.WriteString(value)
		text = rest
	}
}
