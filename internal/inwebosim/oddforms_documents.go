package inwebosim

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// documentForms are the odd forms of the document around the elements.
func documentForms() []form {
	return slices.Concat(declarations(), roots(), markup(), brokenDocuments())
}

// written is a readable form that is made by writing the document in another way.
func written(name Form, about string, write func(answer) []byte) form {
	f := complete(name, about, nil)
	f.write = write
	return f
}

// declarations are what is in front of the root.
func declarations() []form {
	return []form{
		written("declaration-none", "no XML declaration", undeclared),
		written("declaration-blank-line", "a blank line before the declaration", func(ans answer) []byte {
			return append([]byte("\n"), ans.document()...)
		}),
		written("declaration-blanks", "blanks and line breaks before the declaration", func(ans answer) []byte {
			return append([]byte(" \r\n\t\r\n"), ans.document()...)
		}),
		written("declaration-standalone", "a declaration in single quotes, with standalone", func(ans answer) []byte {
			return declared(`<?xml version='1.0' encoding='utf-8' standalone='yes' ?>`+"\r\n", undeclared(ans))
		}),
		written("declaration-xml-1.1", "XML 1.1", func(ans answer) []byte {
			return declared(`<?xml version="1.1" encoding="UTF-8"?>`, undeclared(ans))
		}),
		written("declaration-utf8", "the encoding UTF8, which is no registered name", func(ans answer) []byte {
			return declared(declarationOf("UTF8"), undeclared(accented(ans)))
		}),
	}
}

// roots are the odd forms of the root element itself.
func roots() []form {
	return []form{
		written("root-attributes", "attributes on the root, one with a > in it", func(ans answer) []byte {
			return withRoot(ans, ` version="1" note='a > b'`)
		}),
		written("root-namespace", "a default namespace on the root", func(ans answer) []byte {
			return withRoot(ans, ` xmlns="http://example.com/iw"`)
		}),
		written("root-prefix", "a namespace whose prefix all elements carry", func(ans answer) []byte {
			doc := []byte(xmlDeclaration + "<iw:" + ans.root + ` xmlns:iw="http://example.com/iw">`)
			for _, f := range ans.fields {
				doc = append(doc, "<iw:"+f.Name+">"+escape(f.Value)+"</iw:"+f.Name+">"...)
			}
			return append(doc, "</iw:"+ans.root+">"...)
		}),
		written("root-trailing", "blanks and a comment after the root", func(ans answer) []byte {
			return append(ans.document(), "\r\n<!-- end -->\n"...)
		}),
		written("root-trailing-element", "a second root element after the first", func(ans answer) []byte {
			return append(ans.document(), "<"+ans.root+"><err>NOK:ERR1</err></"+ans.root+">"...)
		}),
	}
}

// markup is what XML allows within a document and a flat reader does not expect.
func markup() []form {
	each := func(name Form, about string, element func(Field) string) form {
		return written(name, about, func(ans answer) []byte { return writeEach(ans, element) })
	}
	return []form{
		each("comments", "comments between the elements, with elements and the end of the root in them", func(f Field) string {
			return "<!-- <" + f.Name + ">0</" + f.Name + "></ActionSetup></ActionFinalize> -->" + plainElement(f)
		}),
		each("comments-in-values", "a comment within each value", func(f Field) string {
			half := len(f.Value) / 2
			if !isASCII(f.Value) {
				half = 0
			}
			return "<" + f.Name + ">" + escape(f.Value[:half]) + "<!-- 0 -->" + escape(f.Value[half:]) + "</" + f.Name + ">"
		}),
		each("cdata", "every value in a CDATA section, and a message that contains the end of the root", func(f Field) string {
			return "<" + f.Name + "><![CDATA[" + f.Value + "]]></" + f.Name + "><m_text><![CDATA[</ActionSetup></ActionFinalize>]]></m_text>"
		}),
		each("character-references", "every character of a value as a reference", func(f Field) string {
			return "<" + f.Name + ">" + references(f.Value) + "</" + f.Name + ">"
		}),
		each("processing-instructions", "processing instructions between the elements", func(f Field) string {
			return "<?odd <" + f.Name + "> ?>" + plainElement(f)
		}),
		each("indented", "each element on a line of its own", func(f Field) string { return "\r\n\t" + plainElement(f) }),
		each("blanks-in-tags", "blanks within the tags", func(f Field) string {
			return "<" + f.Name + "\n >" + escape(f.Value) + "</" + f.Name + "\t>"
		}),
		each("self-closed", "an empty element written as one tag", func(f Field) string {
			if f.Value == "" {
				return "<" + f.Name + "/>"
			}
			return plainElement(f) + "<m_text/>"
		}),
		each("attributes", "an attribute on every element", func(f Field) string {
			return "<" + f.Name + ` type="text">` + escape(f.Value) + "</" + f.Name + ">"
		}),
		written("nested-unknown", "an unknown element whose children have the names of known ones", func(ans answer) []byte {
			return withFirst(ans, "<m_box><err>NOK:ACCESS</err><K0>0</K0><K1>0</K1><dK1>0</dK1><id>0</id><Tsync>0</Tsync>"+
				"<challenge>0</challenge><defi>0</defi><J>1</J><s_n>7</s_n></m_box>")
		}),
		written("nested-root", "an unknown element that contains an element with the root's name", func(ans answer) []byte {
			return withFirst(ans, "<m_box><"+ans.root+"><err>NOK:ACCESS</err></"+ans.root+"></m_box>")
		}),
	}
}

// brokenDocuments are those that no reader may take for an answer, although their root is the right one.
func brokenDocuments() []form {
	broken := func(name Form, about string, write func(answer) []byte) form {
		f := unreadable(name, about, nil)
		f.write = write
		return f
	}
	return []form{
		broken("nested-all", "all elements one level too deep", func(ans answer) []byte {
			return wrapped(ans.document(), ans.root, "<answer>", "</answer>")
		}),
		broken("element-unclosed", "an element that is not closed before the root is", func(ans answer) []byte {
			return withFirst(ans, "<m_text>")
		}),
		broken("truncated", "a document that ends in its middle, the HTTP answer being whole", func(ans answer) []byte {
			doc := ans.document()
			return doc[:len(doc)*2/3]
		}),
		broken("doctype", "a document type", func(ans answer) []byte {
			return afterDeclaration(ans.document(), "<!DOCTYPE "+ans.root+" [<!ELEMENT err (#PCDATA)>]>")
		}),
	}
}

// undeclared is the document without its declaration.
func undeclared(ans answer) []byte { return ans.document()[len(xmlDeclaration):] }

// declared puts a declaration in front of a document that has none.
func declared(declaration string, doc []byte) []byte {
	return append([]byte(declaration), doc...)
}

// withRoot is the document with attributes on its root.
func withRoot(ans answer, attributes string) []byte {
	return bytes.Replace(ans.document(), []byte("<"+ans.root+">"), []byte("<"+ans.root+attributes+">"), 1)
}

// withFirst is the document with other content in front of the elements.
func withFirst(ans answer, content string) []byte {
	return bytes.Replace(ans.document(), []byte("<"+ans.root+">"), []byte("<"+ans.root+">"+content), 1)
}

// writeEach writes the document with each element as the function writes it.
func writeEach(ans answer, element func(Field) string) []byte {
	doc := []byte(xmlDeclaration + "<" + ans.root + ">")
	for _, f := range ans.fields {
		doc = append(doc, element(f)...)
	}
	return append(doc, "</"+ans.root+">"...)
}

func plainElement(f Field) string { return "<" + f.Name + ">" + escape(f.Value) + "</" + f.Name + ">" }

// references writes every character as a numeric reference, decimal and hexadecimal in turn.
func references(text string) string {
	var b strings.Builder
	for i, r := range text {
		if i%2 == 0 {
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		} else {
			b.WriteString("&#x" + strconv.FormatInt(int64(r), 16) + ";")
		}
	}
	return b.String()
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r > 126 }) < 0
}
