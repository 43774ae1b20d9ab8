package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pimsd/pimsd/internal/input"
)

// Example returns a file of settings that says what each is. Every setting is commented out, so that the file keeps none at a
// default that a later version changes.
func Example() string {
	return "# Settings of pimsd. Name this file with " + EnvFile + " or --" + FlagFile + ".\n" +
		"# The environment wins over it, and flags win over both; docs/configuration.md has all names.\n" +
		"# What is commented out is at its default. To change a setting of a section, uncomment both lines.\n" +
		Default().render()
}

// render returns c as a file of settings, secrets and all, in which each setting is commented out below what it is.
func (c *Config) render() string {
	var b strings.Builder
	for _, g := range c.groups() {
		fmt.Fprintf(&b, "\n\n# === %s ===\n", g.Title)
		renderGroup(&b, g)
	}
	return b.String()
}

func renderGroup(b *strings.Builder, g group) {
	section := ""
	for _, s := range g.inFileOrder() {
		indent, name, gap := "", s.Key, "\n"
		if before, after, nested := strings.Cut(s.Key, "."); nested {
			indent, name = "  ", after
			if before != section {
				section, gap = before, ""
				fmt.Fprintf(b, "\n#%s:\n", section)
			}
		}
		b.WriteString(gap)
		writeComment(b, indent, s)
		fmt.Fprintf(b, "#%s%s: %s\n", indent, name, yamlScalar(s.value.text()))
	}
}

// inFileOrder puts the settings without a section first, since YAML has no way to leave a section, and those of a section
// together.
func (g group) inFileOrder() []setting {
	sectionOf := func(s setting) string {
		section, _, nested := strings.Cut(s.Key, ".")
		if !nested {
			return ""
		}
		return section
	}
	sections := []string{""}
	for _, s := range g.Settings {
		sections = append(sections, sectionOf(s))
	}
	place := func(s setting) int { return slices.Index(sections, sectionOf(s)) }
	return slices.SortedStableFunc(slices.Values(g.Settings), func(a, b setting) int { return place(a) - place(b) })
}

func writeComment(b *strings.Builder, indent string, s setting) {
	text := strings.ReplaceAll(sentence(s.What)+" "+s.Effect, "`", "")
	if s.Secret {
		text += " The file that holds it can be named instead, as " + s.inFile().Key + "."
	}
	for _, line := range input.Wrap(text, 110) {
		fmt.Fprintf(b, "%s# %s\n", indent, line)
	}
}

// yamlScalar quotes whatever is not a plain number or duration.
func yamlScalar(text string) string {
	if regexp.MustCompile(`^[0-9][0-9a-z.]*$`).MatchString(text) && len(text) < 16 {
		return text
	}
	return fmt.Sprintf("%q", text)
}

// sentence makes one of a phrase.
func sentence(phrase string) string {
	return strings.ToUpper(phrase[:1]) + phrase[1:] + "."
}
