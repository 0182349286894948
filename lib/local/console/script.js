// The page asks its own server alone, and builds every element with text, never with markup from outside.
const by = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const tone = (status) => (status < 400 ? "good" : status < 500 ? "warn" : "bad");
const pretty = (text) => {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
};
const short = (type) => type.split(":").pop();
const idOf = (text) => "node-" + text.replace(/[^A-Za-z0-9]+/g, "-");

let chosen = null;
let document_ = {};

// --- Try

const described = (route) => {
  const operations = document_.paths?.[route.path] ?? {};
  return operations[route.method.toLowerCase()] ?? {};
};
const resolve = (value) => {
  while (value?.$ref) value = value.$ref.slice(2).split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/")], document_);
  return value ?? {};
};
const parametersOf = (route) => {
  const known = new Map();
  for (const [, name] of route.path.matchAll(/\{(\w+)\+?\}/g)) known.set("path " + name, { name, in: "path" });
  const shared = document_.paths?.[route.path]?.parameters ?? [];
  for (const each of [...shared, ...(described(route).parameters ?? [])].map(resolve)) {
    if (each.in !== "cookie") known.set(`${each.in} ${each.name}`, each);
  }
  if (route.path === "$default") known.set("path path", { name: "path", in: "default", example: "/" });
  return [...known.values()];
};
const exampleBody = (route) => {
  const content = resolve(described(route).requestBody).content?.["application/json"];
  const example = content?.example ?? Object.values(content?.examples ?? {}).map(resolve)[0]?.value;
  return example ?? { note: "first" };
};

const METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS"];
const inOrder = (a, b) => a.path.localeCompare(b.path) || METHODS.indexOf(a.method) - METHODS.indexOf(b.method);

const showRoutes = (apis) => {
  const list = by("routes");
  const items = [];
  for (const api of apis) {
    if (apis.length > 1) items.push(make("li", { class: "url" }, api.url));
    for (const route of api.routes.toSorted(inOrder)) {
      const button = make("button", { type: "button", "aria-pressed": "false" },
        make("span", { class: "method" }, route.method), " ", make("span", { class: "path" }, route.path));
      button.addEventListener("click", (event) => {
        choose(api, route, button);
        // On a phone the form is below the routes. A click that the page made itself (detail 0) moves nothing.
        if (event.detail) by("operation").scrollIntoView({ block: "nearest" });
      });
      items.push(make("li", {}, button));
    }
  }
  list.replaceChildren(...items);
};

const choose = (api, route, button) => {
  chosen = { api, route };
  for (const other of by("routes").querySelectorAll("button")) other.setAttribute("aria-pressed", other === button);
  by("operation").replaceChildren(make("span", { class: "method" }, route.method), " ", route.path);
  by("summary").textContent = [described(route).summary, route.authorization === "NONE" ? "" : `Needs ${route.authorization}.`]
    .filter(Boolean).join(" ");
  const fields = [];
  if (["ANY", "$default"].includes(route.method)) fields.push(field({ name: "method", in: "method", example: "GET" }));
  fields.push(...parametersOf(route).map(field));
  by("fields").replaceChildren(...fields);
  const sends = !["GET", "DELETE", "OPTIONS", "HEAD"].includes(route.method);
  by("body-field").hidden = !sends;
  by("body").value = sends ? JSON.stringify(exampleBody(route), null, 2) : "";
  by("answer").replaceChildren();
  preview();
};

const field = (parameter) => {
  const input = make("input", { name: parameter.name, "data-in": parameter.in, autocomplete: "off", spellcheck: "false" });
  if (parameter.in === "path") input.value = parameter.example ?? "hello";
  if (parameter.in === "default" || parameter.in === "method") input.value = parameter.example;
  if (parameter.name === "CreatedAt" && !parameter.example) input.value = "2024-01-01T00:00:00.000000Z";
  const hint = make("span", { class: "hint" }, `in the ${parameter.in === "default" ? "URL" : parameter.in}`);
  return make("label", { class: "field" }, parameter.name, " ", hint, input);
};

const composed = () => {
  const { api, route } = chosen;
  let path = route.path;
  let method = route.method;
  const query = new URLSearchParams();
  const headers = {};
  for (const input of by("fields").querySelectorAll("input")) {
    const value = input.value;
    if (input.dataset.in === "path") path = path.replace(new RegExp(`\\{${input.name}\\+?\\}`), encodeURIComponent(value));
    else if (input.dataset.in === "default") path = value.startsWith("/") ? value : "/" + value;
    else if (input.dataset.in === "method") method = value.toUpperCase();
    else if (value && input.dataset.in === "query") query.append(input.name, value);
    else if (value) headers[input.name] = value;
  }
  for (const line of by("headers").value.split("\n")) {
    const [name, ...rest] = line.split(":");
    if (name.trim() && rest.length) headers[name.trim()] = rest.join(":").trim();
  }
  const body = by("body-field").hidden ? null : by("body").value;
  if (body) headers["Content-Type"] ??= "application/json";
  const search = query.toString();
  return { method, url: api.url + path + (search ? "?" + search : ""), headers, body };
};

const preview = () => {
  by("preview").textContent = chosen ? `${composed().method} ${composed().url}` : "";
  by("send").disabled = !chosen;
};

const send = async (event) => {
  event.preventDefault();
  if (!chosen) return;
  by("send").disabled = true;
  by("answer").replaceChildren("Sending…");
  try {
    const response = await fetch("/try", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(composed()),
    });
    const answer = await response.json();
    by("answer").replaceChildren(...(answer.error ? [make("p", { class: "bad" }, answer.error)] : shown(answer)));
  } catch (error) {
    by("answer").replaceChildren(make("p", { class: "bad" }, `The session does not answer: ${error.message}`));
  } finally {
    by("send").disabled = false;
    refresh();
  }
};

const shown = (answer) => [
  make("h3", {}, make("span", { class: "status " + tone(answer.status) }, `${answer.status} ${answer.reason}`), " ",
    make("span", { class: "ms" }, `${answer.milliseconds} ms`)),
  make("pre", { class: "answer-body", tabindex: "0", "aria-label": "Body of the answer" }, pretty(answer.body) || "(no body)"),
  make("details", {}, make("summary", {}, "Headers"),
    make("pre", { tabindex: "0" }, answer.headers.map((pair) => pair.join(": ")).join("\n"))),
];

// --- Requests

let last = 0;
const showRequests = (exchanges) => {
  for (const exchange of exchanges) {
    last = Math.max(last, exchange.number);
    const item = by("request-template").content.firstElementChild.cloneNode(true);
    const at = new Date(exchange.started * 1000);
    item.querySelector("time").textContent = at.toTimeString().slice(0, 8);
    item.querySelector("time").dateTime = at.toISOString();
    item.querySelector(".method").textContent = exchange.method;
    item.querySelector(".path").textContent = exchange.path;
    item.querySelector(".status").textContent = exchange.status;
    item.querySelector(".status").classList.add(tone(exchange.status));
    item.querySelector(".ms").textContent = `${exchange.milliseconds} ms`;
    const lines = (pairs) => pairs.map((pair) => pair.join(": ")).join("\n");
    const parts = [
      ["Log lines", exchange.logs.map(pretty).join("\n")],
      ["Request", `${lines(exchange.request_headers)}\n\n${pretty(exchange.request_body)}`],
      ["Answer", `${lines(exchange.response_headers)}\n\n${pretty(exchange.response_body)}`],
    ];
    for (const [title, text] of parts) {
      if (text.trim()) item.querySelector(".detail").append(make("h4", {}, title), make("pre", { tabindex: "0" }, text.trim()));
    }
    by("request-list").prepend(item);
  }
  while (by("request-list").children.length > 100) by("request-list").lastElementChild.remove();
  by("no-requests").hidden = by("request-list").children.length > 0;
};

// --- Resources

const showGraph = (stacks) => {
  const open = new Set([...by("graph").querySelectorAll("details[open]")].map((each) => each.id));
  const groups = new Map();
  const groupOf = new Map();
  for (const stack of stacks) {
    for (const resource of stack.resources) {
      const key = `${stack.project} ${resource.parent} ${resource.type}`;
      if (!groups.has(key)) groups.set(key, { key, project: stack.project, type: resource.type, members: [] });
      groups.get(key).members.push(resource);
      groupOf.set(resource.urn, groups.get(key));
    }
  }
  by("graph").replaceChildren(...stacks.map((stack) => {
    const nodes = [...groups.values()].filter((group) => group.project === stack.project);
    const about = [`${stack.resources.length} resource${stack.resources.length === 1 ? "" : "s"}`];
    if (stack.reads.length) about.push(`reads ${stack.reads.join(", ")}`);
    return make("div", { class: "stack" }, make("h3", {}, stack.project), make("p", {}, about.join(", ")),
      ...nodes.map((group) => node(group, groupOf, open)));
  }));
};

const node = (group, groupOf, open) => {
  const many = group.members.length > 1 ? ` ×${group.members.length}` : "";
  const first = group.members[0];
  const uses = new Set(group.members.flatMap((member) => member.uses).map((urn) => groupOf.get(urn)).filter(Boolean));
  uses.delete(group);
  const details = make("details", { id: idOf(group.key) + "-more" }, make("summary", {}, make("b", {}, short(group.type) + many),
    " ", make("span", { class: "hint" }, many ? "" : first.name)));
  details.open = open.has(details.id);
  for (const member of group.members) {
    const list = make("dl");
    for (const [name, value] of Object.entries({ name: member.name, id: member.id, ...member.facts })) {
      list.append(make("dt", {}, name), make("dd", {}, String(value)));
    }
    details.append(list);
  }
  const facts = many ? "" : Object.entries(first.facts).map(([name, value]) => `${name} ${value}`).join(" · ");
  const element = make("div", { class: "node", id: idOf(group.key), "data-type": group.type }, details);
  if (facts) element.append(make("div", { class: "hint live" }, facts));
  if (uses.size) {
    element.append(make("p", { class: "uses" }, "uses ",
      ...[...uses].map((other) => make("a", { href: "#" + idOf(other.key) }, short(other.type)))));
  }
  return element;
};

// --- Alarms and the rest

const showAlarms = (alarms) => {
  const tones = { OK: "good", ALARM: "bad", INSUFFICIENT_DATA: "warn" };
  by("alarm-list").replaceChildren(...(alarms.length ? alarms : [{ name: "There are none.", state: "" }]).map((alarm) =>
    make("li", {}, make("b", { class: tones[alarm.state] ?? "" }, alarm.state), make("span", {}, alarm.name),
      make("span", { class: "why" }, [alarm.description, alarm.reason].filter(Boolean).join(" — ")))));
};

let routesShown = "";
const showState = (state) => {
  by("stack").textContent = `on this machine, stack ${state.stack}`;
  const routes = JSON.stringify(state.apis);
  if (routes !== routesShown) {
    routesShown = routes;
    showRoutes(state.apis);
    by("routes").querySelector("button")?.click();
  }
  showGraph(state.stacks);
  showAlarms(state.alarms);
  by("facts").textContent = `AWS at ${state.aws.AWS_ENDPOINT_URL}, region ${state.aws.AWS_REGION}. Logs in ${state.logs}.`;
};

const get = async (path) => (await fetch(path)).json();
const refresh = async () => {
  try {
    const [requests, state] = await Promise.all([get(`/requests?after=${last}`), get("/state")]);
    showRequests(requests.filter((exchange) => exchange.number > last));
    showState(state);
    by("connection").textContent = "";
  } catch {
    by("connection").textContent = "The session has ended.";
  }
};

by("form").addEventListener("submit", send);
by("form").addEventListener("input", preview);
preview();
document_ = await get("/openapi.json").catch(() => ({}));
await refresh();
setInterval(() => document.hidden || refresh(), 2000);
