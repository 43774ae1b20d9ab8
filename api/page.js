// The server writes a line before this script: settings = {codes: [2000, ...], try: true or false}.

const anyCode = new RegExp("`[^`]*`|\\b(" + settings.codes.join("|") + ")\\b", "g");

// linked returns Markdown in which each code of the catalog, outside of code spans, links to its explanation.
const linked = (markdown) => markdown.replace(anyCode, (found, code) => code ? `[${code}](errors#${code})` : found);

// codesIn returns the codes, each once, that a JSON text has as its member "code".
const codesIn = (text) => [...new Set(Array.from(text.matchAll(/"code":\s*(\d+)/g), (found) => Number(found[1])))]
  .filter((code) => settings.codes.includes(code));

// explainCodes is a plugin of Swagger UI: codes in descriptions are links, and examples and responses are followed by links for theirs.
// It renders through React, which would lose nodes that a script had moved.
const explainCodes = ({React}) => ({
  wrapComponents: {
    Markdown: (Original) => (props) => React.createElement(Original,
      {...props, source: typeof props.source === "string" ? linked(props.source) : props.source}),
    HighlightCode: (Original) => (props) => React.createElement(React.Fragment, null, React.createElement(Original, props),
      ...codesIn(String(props.children)).map((code) => React.createElement("p", {className: "explained"},
        React.createElement("a", {href: `errors#${code}`, target: "_blank"}, `What ${code} means, and what to do`)))),
  },
});

// authorize fills in the key of the demo account. When the server has none, a person can still enter one.
const authorize = async () => {
  const answer = await fetch("key", {method: "POST", cache: "no-store"});
  if (answer.status === 200) ui.preauthorizeApiKey("bearer", await answer.text());
};

const ui = SwaggerUIBundle({
  dom_id: "#page", url: "openapi.yaml", validatorUrl: null, deepLinking: true, defaultModelsExpandDepth: 0,
  plugins: [explainCodes],
  ...(settings.try ? {onComplete: authorize} : {supportedSubmitMethods: []}), // a service offers no calls on its operators' listener
});
