// Command sbom writes a CycloneDX 1.6 bill of materials of programs: what the
// Go compiler recorded in each, and the page's packages with their licences
// (build/licences.json). It must not know how the programs are packed.
//
//	sbom VERSION PROGRAM... >FILE
package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type licence struct {
	Expression string `json:"expression"`
}

type component struct {
	Type     string    `json:"type"`
	Ref      string    `json:"bom-ref,omitempty"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Licences []licence `json:"licenses,omitempty"`
	PURL     string    `json:"purl,omitempty"`
	Hashes   []hash    `json:"hashes,omitempty"`
}

type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

type bom struct {
	Format   string `json:"bomFormat"`
	Spec     string `json:"specVersion"`
	Serial   string `json:"serialNumber"`
	Version  int    `json:"version"`
	Metadata struct {
		Timestamp string    `json:"timestamp,omitempty"`
		Component component `json:"component"`
	} `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("usage: sbom VERSION PROGRAM [PROGRAM]")
	}
	var known []struct {
		Name, Version, Licence string
		NPM                    bool `json:"npm"`
	}
	b, err := os.ReadFile("build/licences.json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &known); err != nil {
		return fmt.Errorf("build/licences.json: %w", err)
	}
	licences := map[string]string{}
	parts := map[string]component{}
	var page []string
	for _, k := range known {
		if !k.NPM {
			licences[k.Name] = k.Licence
			continue
		}
		c := component{Type: "library", Name: k.Name, Version: k.Version, PURL: "pkg:npm/" + strings.Replace(k.Name, "@", "%40", 1) + "@" + k.Version, Licences: []licence{{k.Licence}}}
		c.Ref = c.PURL
		parts[c.Ref] = c
		page = append(page, c.Ref)
	}
	var doc bom
	doc.Format, doc.Spec, doc.Version = "CycloneDX", "1.6", 1
	doc.Metadata.Component = component{Type: "application", Ref: "daypass", Name: "daypass", Version: args[0], Licences: []licence{{"Apache-2.0"}}}
	whole := dependency{Ref: "daypass", On: []string{}}
	for _, file := range args[1:] {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		sum := sha256.Sum256(data)
		p := component{Type: "application", Ref: "daypass/" + filepath.Base(file), Name: filepath.Base(file), Version: args[0], Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}}}
		doc.Components = append(doc.Components, p)
		whole.On = append(whole.On, p.Ref)
		on := []string{}
		add := func(name, version, licenceOf string) {
			c := component{Type: "library", Name: name, Version: version, PURL: "pkg:golang/" + name + "@" + version}
			if licenceOf != "" {
				c.Licences = []licence{{licenceOf}}
			}
			c.Ref = c.PURL
			parts[c.Ref] = c
			on = append(on, c.Ref)
		}
		add("std", strings.TrimPrefix(info.GoVersion, "go"), "BSD-3-Clause")
		for _, d := range info.Deps {
			if d.Replace != nil {
				d = d.Replace
			}
			add(d.Path, d.Version, licences[d.Path])
			if licences[d.Path] == "" {
				return fmt.Errorf("%s: no licence of %s is known: go run ./build/licences", file, d.Path)
			}
		}
		if info.Path == "daypass" { // the console, which holds the page
			on = append(on, page...)
		}
		slices.Sort(on)
		doc.Dependencies = append(doc.Dependencies, dependency{p.Ref, on})
	}
	for _, c := range parts {
		doc.Components = append(doc.Components, c)
	}
	slices.SortFunc(doc.Components, func(a, b component) int { return cmp.Compare(a.Ref, b.Ref) })
	doc.Dependencies = append(doc.Dependencies, whole)
	slices.SortFunc(doc.Dependencies, func(a, b dependency) int { return cmp.Compare(a.Ref, b.Ref) })
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		doc.Metadata.Timestamp = time.Unix(n, 0).UTC().Format(time.RFC3339)
	}
	// The serial number follows from the content, so that a second build is
	// the same.
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	h := sha256.Sum256(body)
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // RFC 9562, version 8
	doc.Serial = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}
