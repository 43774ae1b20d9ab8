package deploy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// kinds are those that the chart makes, by the name that the API's document has for them.
func kinds() map[string]string {
	return map[string]string{
		"statefulset-apps-v1": "io.k8s.api.apps.v1.StatefulSet", "deployment-apps-v1": "io.k8s.api.apps.v1.Deployment",
		"service-v1": "io.k8s.api.core.v1.Service", "configmap-v1": "io.k8s.api.core.v1.ConfigMap",
		"serviceaccount-v1": "io.k8s.api.core.v1.ServiceAccount", "poddisruptionbudget-policy-v1": "io.k8s.api.policy.v1.PodDisruptionBudget",
		"networkpolicy-networking-v1": "io.k8s.api.networking.v1.NetworkPolicy",
	}
}

// The modules that carry the API's own documents.
const (
	kubernetesModule = "k8s.io/kubernetes@v1.37.2"
	operatorModule   = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
)

// writeSchemas makes schemas of the API's own documents, closed: what they do not name is refused.
func writeSchemas(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name string, schema any) {
		text, err := json.Marshal(schema)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	document := read(t, filepath.Join(moduleDir(t, kubernetesModule), "api/openapi-spec/swagger.json"))
	var swagger struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(document, `"#/definitions/`, `"definitions.json#/definitions/`)), &swagger); err != nil {
		t.Fatal(err)
	}
	for _, definition := range swagger.Definitions {
		closeSchema(definition)
	}
	write("definitions.json", swagger)
	for file, name := range kinds() {
		if swagger.Definitions[name] == nil {
			t.Fatalf("the API has no %s", name)
		}
		write(file+".json", map[string]string{"$ref": "definitions.json#/definitions/" + name})
	}
	var monitor struct {
		Spec struct {
			Versions []struct {
				Schema struct{ OpenAPIV3Schema map[string]any }
			}
		}
	}
	crd := read(t, filepath.Join(moduleDir(t, operatorModule), "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"))
	if err := yaml.Unmarshal([]byte(crd), &monitor); err != nil {
		t.Fatal(err)
	}
	schema := monitor.Spec.Versions[0].Schema.OpenAPIV3Schema
	schema["properties"].(map[string]any)["metadata"] = map[string]string{
		"$ref": "definitions.json#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
	}
	closeSchema(schema)
	write("servicemonitor-monitoring-v1.json", schema)
	return dir
}

// closeSchema refuses, at every depth, the properties that a schema does not name, and knows the one type that is two.
func closeSchema(schema map[string]any) {
	if properties, ok := schema["properties"].(map[string]any); ok && schema["additionalProperties"] == nil {
		schema["additionalProperties"] = false
		for _, property := range properties {
			if nested, ok := property.(map[string]any); ok {
				closeSchema(nested)
			}
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		closeSchema(items)
	}
	if schema["format"] == "int-or-string" {
		schema["type"] = []string{"integer", "string"}
	}
}

// moduleDir is where a module is unpacked; it is checked against its sum as every module.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	var told struct{ Dir string }
	if err := json.NewDecoder(bytes.NewBufferString(output(t, "go", "mod", "download", "-json", module))).Decode(&told); err != nil {
		t.Fatal(err)
	}
	return told.Dir
}
