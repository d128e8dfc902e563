// The interactive network. The server has laid it out; here it is painted (sigma, WebGL), searched
// and filtered. Texts of others are set as text, never as markup.

import { DirectedGraph } from "graphology";
import Sigma from "sigma";
import {
  EdgeLineProgram,
  EdgeRectangleProgram,
  NodeCircleProgram,
  NodePointProgram,
} from "sigma/rendering";

const N_GROUPS = 8;
const N_LEVELS = 5;
const STEPS = 200;
//: Beyond this many links they are left out while the picture moves, and are drawn as plain lines.
const MANY_LINKS = 15_000;
//: Beyond this many accounts each is one point: without a graphics card, where a program draws,
//: every copy of a shape costs as much as a drawing of its own.
const MANY_ACCOUNTS = 3_000;
//: The strongest so many are drawn; an account that is chosen shows all of its own.
const MOST_DRAWN = 20_000;
//: So long after the slider was let go, labels are placed anew.
const SETTLES_MS = 300;

const byId = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const count = (n) => (n === null || n === undefined ? "–" : whole.format(n));
const minute = (seconds) => new Date(1000 * seconds).toISOString().slice(0, 16).replace("T", " ");

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function dot(className) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("aria-hidden", "true");
  const disc = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  disc.setAttribute("cx", 6);
  disc.setAttribute("cy", 6);
  disc.setAttribute("r", 6);
  disc.setAttribute("class", className);
  svg.append(disc);
  return svg;
}

function paletteOf() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    group: [...Array(N_GROUPS).keys()].map((i) => read(`group${i}`)),
    level: [...Array(N_LEVELS).keys()].map((i) => read(`level${i}`)),
    rest: read("rest"),
    unjudged: read("unjudged"),
    coordinated: read("false"),
    ink: read("ink"),
    links: read("links"),
    faint: read("line"),
    card: read("card"),
  };
}

// which of these are among the n greatest; of equals some from each part of the list, always the
// same ones, so that links of all times are drawn
function strongest(values, n) {
  const place = (i) => Math.imul(i, 2654435761) >>> 0;
  const order = [...values.keys()].sort((a, b) => values[b] - values[a] || place(a) - place(b));
  return order.slice(0, n).sort((a, b) => a - b);
}

// the numbers of an account's links are in `found` from starts[i] to starts[i + 1]
function linksOf(n, { shared, sharer }) {
  const starts = new Uint32Array(n + 1);
  for (const ends of [shared, sharer]) for (const i of ends) starts[i + 1] += 1;
  for (let i = 0; i < n; i++) starts[i + 1] += starts[i];
  const found = new Uint32Array(2 * shared.length);
  const next = starts.slice();
  for (let link = 0; link < shared.length; link++) {
    found[next[shared[link]]++] = link;
    found[next[sharer[link]]++] = link;
  }
  return { starts, found };
}

// the first place whose value is greater
function after(values, value) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

class Network {
  constructor(box, data) {
    this.box = box;
    this.data = data;
    this.palette = paletteOf();
    const { accounts, links } = data;
    this.n = accounts.name.length;
    this.names = accounts.name.map((name, i) =>
      accounts.handle[i] === null ? name.slice(name.indexOf(":") + 1) : `@${accounts.handle[i]}`,
    );
    const cut = (name) => (name.length > 28 ? `${name.slice(0, 27)}…` : name);
    this.labels = this.names.map(cut);
    this.drawn = strongest(links.shares, MOST_DRAWN); // in order of time, as all links are
    this.drawnAt = Float64Array.from(this.drawn, (link) => links.first_at[link]);
    this.from = links.first_at[0] ?? 0; // links are sorted by when they began
    this.to = links.first_at[links.first_at.length - 1] ?? 0;
    this.until = this.shownUntil = this.to;
    this.own = linksOf(this.n, links);
    // when an account takes part for the first time
    this.begins = new Float64Array(this.n).fill(Infinity);
    for (let i = 0; i < this.n; i++) {
      const first = this.own.starts[i]; // their numbers ascend, and so do their times
      if (first < this.own.starts[i + 1]) this.begins[i] = links.first_at[this.own.found[first]];
    }
    this.arrivals = [...this.begins.keys()].sort((a, b) => this.begins[a] - this.begins[b]);
    this.arrivedAt = Float64Array.from(this.arrivals, (i) => this.begins[i]);
    this.added = []; // links that are only drawn for the account that is chosen
    this.colouring = "community";
    this.sizing = "times_shared";
    this.community = null;
    this.account = null;
    this.near = null;
    this.colours = new Array(this.n);
    this.sizes = new Float64Array(this.n);
    this.paintAccounts();
    this.sizeAccounts();
    this.draw();
  }

  className(i) {
    const { accounts } = this.data;
    if (this.colouring === "community") {
      return accounts.community[i] < N_GROUPS ? `group${accounts.community[i]}` : "rest";
    }
    if (this.colouring === "level") {
      return accounts.level[i] < 0 ? "unjudged" : `level${accounts.level[i]}`;
    }
    return accounts.coordinated[i] ? "likely-false" : "rest";
  }

  paintAccounts() {
    const { palette } = this;
    const colours = { rest: palette.rest, unjudged: palette.unjudged };
    colours["likely-false"] = palette.coordinated;
    palette.group.forEach((colour, i) => (colours[`group${i}`] = colour));
    palette.level.forEach((colour, i) => (colours[`level${i}`] = colour));
    for (let i = 0; i < this.n; i++) this.colours[i] = colours[this.className(i)];
  }

  sizeAccounts() {
    const values = this.data.accounts[this.sizing].map((value) => value ?? 0);
    const most = values.reduce((a, b) => Math.max(a, b), 1);
    const [least, span] = this.n > 6000 ? [1.2, 9] : [2.2, 13];
    values.forEach((value, i) => (this.sizes[i] = least + span * Math.sqrt(value / most)));
  }

  draw() {
    const { accounts, links } = this.data;
    const graph = new DirectedGraph({ allowSelfLoops: false });
    for (let i = 0; i < this.n; i++) {
      graph.addNode(i, { x: accounts.x[i], y: accounts.y[i], label: this.labels[i] });
    }
    this.graph = graph;
    this.heaviest = links.shares.reduce((a, b) => Math.max(a, b), 1);
    for (const link of this.drawn) this.addLink(link);
    this.renderer = new Sigma(graph, byId("stage"), {
      defaultEdgeColor: this.palette.links,
      defaultEdgeType: "line",
      hideEdgesOnMove: links.shared.length > MANY_LINKS,
      nodeProgramClasses: {
        circle: this.n > MANY_ACCOUNTS ? NodePointProgram : NodeCircleProgram,
      },
      edgeProgramClasses: {
        line: links.shared.length > MANY_LINKS ? EdgeLineProgram : EdgeRectangleProgram,
      },
      hideLabelsOnMove: this.n > MANY_ACCOUNTS,
      labelColor: { color: this.palette.ink },
      labelFont: "system-ui, sans-serif",
      labelSize: 12,
      labelDensity: 0.6,
      labelGridCellSize: 110,
      labelRenderedSizeThreshold: 7,
      minEdgeThickness: 0.4,
      zIndex: true,
      allowInvalidContainer: true, // a page that is being left has no width
      defaultDrawNodeLabel: (context, node, settings) => this.drawLabel(context, node, settings),
      defaultDrawNodeHover: (context, node, settings) => this.drawName(context, node, settings),
      nodeReducer: (key, node) => this.asAccount(Number(key), node),
      edgeReducer: (key, edge) => this.asLink(Number(key), edge),
    });
    this.renderer.on("clickNode", ({ node }) => this.choose(Number(node)));
    this.renderer.on("clickStage", () => this.choose(null));
  }

  addLink(link) {
    const { shared, sharer, shares } = this.data.links;
    const size = 0.4 + 2 * Math.sqrt(shares[link] / this.heaviest);
    this.graph.addEdgeWithKey(link, shared[link], sharer[link], { size });
  }

  ownLinks(i) {
    return this.own.found.subarray(this.own.starts[i], this.own.starts[i + 1]);
  }

  neighbours(i) {
    const { shared, sharer } = this.data.links;
    return new Set(Array.from(this.ownLinks(i), (link) => shared[link] + sharer[link] - i));
  }

  drawLabel(context, node, settings) {
    if (!node.label) return;
    context.font = `600 ${settings.labelSize}px ${settings.labelFont}`;
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = this.palette.card;
    context.strokeText(node.label, node.x + node.size + 4, node.y + 4);
    context.fillStyle = this.palette.ink;
    context.fillText(node.label, node.x + node.size + 4, node.y + 4);
  }

  drawName(context, node, settings) {
    context.font = `600 ${settings.labelSize}px ${settings.labelFont}`;
    const width = context.measureText(node.label).width;
    context.fillStyle = this.palette.card;
    context.beginPath();
    context.roundRect(node.x + node.size + 1, node.y - 10, width + 10, 20, 5);
    context.fill();
    context.beginPath();
    context.arc(node.x, node.y, node.size + 2, 0, 2 * Math.PI);
    context.strokeStyle = this.palette.ink;
    context.lineWidth = 1.5;
    context.stroke();
    context.fillStyle = this.palette.ink;
    context.fillText(node.label, node.x + node.size + 6, node.y + 4);
  }

  isFaint(i) {
    if (this.account !== null) return i !== this.account && !this.near.has(i);
    return this.community !== null && this.data.accounts.community[i] !== this.community;
  }

  asAccount(i, node) {
    if (this.begins[i] > this.until) return { ...node, hidden: true };
    const shown = { ...node, size: this.sizes[i], color: this.colours[i], zIndex: 1 };
    if (this.isFaint(i)) {
      return { ...shown, color: this.palette.faint, label: null, zIndex: 0 };
    }
    if (i === this.account) return { ...shown, highlighted: true, zIndex: 2 };
    return shown;
  }

  asLink(i, edge) {
    const { links } = this.data;
    if (links.first_at[i] > this.until) return { ...edge, hidden: true };
    const [one, other] = [links.shared[i], links.sharer[i]];
    const isOwn = one === this.account || other === this.account;
    if (this.account !== null && !isOwn) return { ...edge, hidden: true };
    if (this.isFaint(one) || this.isFaint(other)) return { ...edge, hidden: true };
    return edge;
  }

  refresh() {
    this.shownUntil = this.until;
    this.renderer.refresh({ skipIndexation: true });
    this.tell();
  }

  // the links of the account that is chosen, as far as they are not drawn anyway
  addOwn() {
    for (const link of this.added) this.graph.dropEdge(link);
    const links = this.account === null ? [] : [...this.ownLinks(this.account)];
    this.added = links.filter((link) => !this.graph.hasEdge(link));
    for (const link of this.added) this.addLink(link);
  }

  // how much is seen now, for people and for tests
  tell() {
    const nLinks = after(this.data.links.first_at, this.until);
    const nAccounts = after(this.arrivedAt, this.until);
    byId("moment").textContent =
      `${minute(this.until)}: ${count(nAccounts)} accounts, ${count(nLinks)} links`;
    this.box.dataset.accounts = nAccounts;
    this.box.dataset.links = nLinks;
  }

  setMoment(step) {
    this.until = this.from + ((this.to - this.from) * step) / STEPS;
    if (step >= STEPS) this.until = this.to;
    this.tell();
    if (this.waits) return; // the next frame shows where the slider stands by then
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      this.showMoment();
    });
  }

  // places the labels of what is shown now
  settle() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.refresh(), SETTLES_MS);
  }

  // only what comes or goes between the moment that is shown and the one that is wanted
  showMoment() {
    const [low, high] = [this.shownUntil, this.until].sort((a, b) => a - b);
    const between = (values, times) => values.slice(after(times, low), after(times, high));
    const edges = between(this.drawn, this.drawnAt);
    this.shownUntil = this.until;
    this.renderer.refresh({
      partialGraph: { nodes: between(this.arrivals, this.arrivedAt), edges: [...edges, ...this.added] },
      skipIndexation: true,
    });
  }

  chooseCommunity(number) {
    this.community = this.community === number ? null : number;
    this.account = this.near = null;
    this.addOwn();
    this.showLegend();
    this.showCommunity();
    this.refresh();
  }

  choose(i) {
    this.account = i;
    this.near = i === null ? null : this.neighbours(i);
    this.addOwn();
    this.showChosen();
    this.refresh();
  }

  goTo(i) {
    const { x, y } = this.renderer.getNodeDisplayData(i);
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const duration = still ? 0 : 400;
    this.renderer.getCamera().animate({ x, y, ratio: 0.25 }, { duration });
  }

  find(text) {
    const wanted = text.trim().replace(/^@/, "").toLowerCase();
    if (!wanted) return this.choose(null);
    const { accounts } = this.data;
    const fits = (i) => [accounts.handle[i], accounts.name[i]].map((s) => (s ?? "").toLowerCase());
    const all = [...Array(this.n).keys()];
    const found =
      all.find((i) => fits(i).includes(wanted)) ??
      all.find((i) => fits(i).some((name) => name.includes(wanted)));
    if (found === undefined) {
      byId("chosen").replaceChildren(
        element("p", { class: "quiet" }, `No account that is shown is called ${text.trim()}.`),
      );
      return undefined;
    }
    if (this.begins[found] > this.until) {
      byId("time").value = STEPS;
      this.setMoment(STEPS);
    }
    this.choose(found);
    return this.goTo(found);
  }

  mostShared(community, n) {
    const { accounts } = this.data;
    return [...Array(this.n).keys()]
      .filter((i) => accounts.community[i] === community)
      .sort((a, b) => accounts.times_shared[b] - accounts.times_shared[a] || a - b)
      .slice(0, n);
  }

  showLegend() {
    const list = element("ul");
    const entry = (className, text, size = "") => {
      const label = element("span", { class: "name" }, text);
      list.append(
        element("li", {}, element("span", {}, dot(className), label, element("span", { class: "size" }, size))),
      );
    };
    if (this.colouring === "community") {
      const sizes = this.data.community_sizes;
      sizes.slice(0, N_GROUPS).forEach((size, number) => {
        const [first] = this.mostShared(number, 1);
        const button = element(
          "button",
          { type: "button", "aria-pressed": this.community === number, "data-community": number },
          dot(`group${number}`),
          element("span", { class: "name" }, first === undefined ? `group ${number}` : this.names[first]),
          element("span", { class: "size" }, count(size)),
        );
        button.addEventListener("click", () => this.chooseCommunity(number));
        list.append(element("li", {}, button));
      });
      if (sizes.length > N_GROUPS) entry("rest", `${count(sizes.length - N_GROUPS)} smaller`);
    } else if (this.colouring === "level") {
      for (let i = 0; i < N_LEVELS; i++) {
        entry(`level${i}`, `${(100 * i) / N_LEVELS}–${(100 * (i + 1)) / N_LEVELS} % likely false`);
      }
      entry("unjudged", "not judged");
    } else {
      const n = this.data.accounts.coordinated.filter(Boolean).length;
      entry("likely-false", "shared the same within a minute, more than chance explains", count(n));
      entry("rest", "the others");
    }
    byId("legend").replaceChildren(list);
  }

  facts(pairs) {
    const list = element("dl");
    for (const [name, value] of pairs) list.append(element("dt", {}, name), element("dd", {}, value));
    return list;
  }

  showCommunity() {
    const box = byId("chosen");
    if (this.community === null) {
      box.replaceChildren(
        element("p", { class: "quiet" }, "Click an account, or a community in the list."),
      );
      return;
    }
    const { accounts, community_sizes: sizes } = this.data;
    const top = element("p");
    for (const i of this.mostShared(this.community, 8)) {
      const button = element("button", { type: "button", class: "plain" }, this.names[i]);
      button.addEventListener("click", () => {
        this.choose(i);
        this.goTo(i);
      });
      top.append(button, " ");
    }
    let [judged, likelyFalse, shown] = [0, 0, 0];
    accounts.community.forEach((number, i) => {
      if (number !== this.community) return;
      shown += 1;
      judged += accounts.judged[i];
      likelyFalse += accounts.likely_false[i];
    });
    const share = judged ? `${((100 * likelyFalse) / judged).toFixed(1)} %` : "–";
    box.replaceChildren(
      element("h2", {}, `Community ${this.community}`),
      this.facts([
        ["accounts", count(sizes[this.community])],
        ["of them shown", count(shown)],
        ["over the threshold", share],
      ]),
      element("p", { class: "quiet" }, "Most shared:"),
      top,
    );
  }

  showChosen() {
    if (this.account === null) this.showCommunity();
    else this.showAccount(this.account);
  }

  showAccount(i) {
    const { accounts } = this.data;
    const judged = `${count(accounts.likely_false[i])} of ${count(accounts.judged[i])}`;
    const address = `/account?${new URLSearchParams({ name: accounts.name[i] })}`;
    byId("chosen").replaceChildren(
      element("h2", {}, this.names[i]),
      this.facts([
        ["times shared", count(accounts.times_shared[i])],
        ["shares made", count(accounts.shares_made[i])],
        ["followers", count(accounts.followers[i])],
        ["community", String(accounts.community[i])],
        ["over the threshold", judged],
        ["coordinated", accounts.coordinated[i] ? "yes" : "not noticed"],
        ["linked with", count(this.neighbours(i).size)],
      ]),
      element("p", {}, element("a", { href: address }, "Its posts")),
    );
  }

  zoom(how) {
    const camera = this.renderer.getCamera();
    const options = { duration: 150 };
    if (how === "in") camera.animatedZoom(options);
    else if (how === "out") camera.animatedUnzoom(options);
    else camera.animatedReset(options);
  }

  onKey(event) {
    const camera = this.renderer.getCamera();
    const step = 0.1 * camera.ratio;
    const { x, y } = camera.getState();
    const moves = {
      ArrowLeft: { x: x - step },
      ArrowRight: { x: x + step },
      ArrowUp: { y: y + step },
      ArrowDown: { y: y - step },
    };
    if (moves[event.key]) camera.setState(moves[event.key]);
    else if (event.key === "+") this.zoom("in");
    else if (event.key === "-") this.zoom("out");
    else if (event.key === "0") this.zoom("all");
    else return;
    event.preventDefault();
  }

  savePicture() {
    this.renderer.refresh({ schedule: false });
    const layers = Object.values(this.renderer.getCanvases());
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [layers[0].width, layers[0].height];
    const paint = canvas.getContext("2d");
    paint.fillStyle = this.palette.card;
    paint.fillRect(0, 0, canvas.width, canvas.height);
    for (const layer of layers) paint.drawImage(layer, 0, 0);
    save(canvas.toDataURL("image/png"), "network.png");
  }

  saveTable() {
    const columns = Object.entries(this.data.accounts);
    const cell = (value) => {
      const text = value === null ? "" : String(value);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const lines = [columns.map(([name]) => name).join(",")];
    for (let i = 0; i < this.n; i++) {
      lines.push(columns.map(([, values]) => cell(values[i])).join(","));
    }
    const file = URL.createObjectURL(new Blob([lines.join("\r\n")], { type: "text/csv" }));
    save(file, "network.csv");
    URL.revokeObjectURL(file);
  }
}

function save(address, name) {
  const link = element("a", { href: address, download: name });
  link.click();
}

function connect(network) {
  const slider = byId("time");
  slider.max = slider.value = STEPS;
  slider.addEventListener("input", () => network.setMoment(Number(slider.value)));
  slider.addEventListener("change", () => network.settle());
  let playing = null;
  const stop = () => {
    clearInterval(playing);
    playing = null;
    byId("play").textContent = "▶";
    network.settle();
  };
  byId("play").addEventListener("click", () => {
    if (playing !== null) return stop();
    if (Number(slider.value) >= STEPS) slider.value = 0;
    byId("play").textContent = "⏸";
    playing = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      network.setMoment(Number(slider.value));
      if (Number(slider.value) >= STEPS) stop();
    }, 80);
    return undefined;
  });
  byId("colour").addEventListener("change", ({ target }) => {
    network.colouring = target.value;
    network.community = null;
    network.paintAccounts();
    network.showLegend();
    network.showChosen();
    network.refresh();
  });
  byId("size").addEventListener("change", ({ target }) => {
    network.sizing = target.value;
    network.sizeAccounts();
    network.refresh();
  });
  const field = byId("find");
  const names = byId("found");
  field.addEventListener("input", () => {
    const wanted = field.value.replace(/^@/, "").toLowerCase();
    const fitting = wanted ? network.names.filter((name) => name.toLowerCase().includes(wanted)) : [];
    names.replaceChildren(...fitting.slice(0, 12).map((name) => element("option", { value: name })));
  });
  field.addEventListener("change", () => network.find(field.value));
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => network.zoom(button.dataset.zoom));
  }
  byId("stage").addEventListener("keydown", (event) => network.onKey(event));
  byId("png").addEventListener("click", () => network.savePicture());
  byId("csv").addEventListener("click", () => network.saveTable());
}

function sayHowMuch(data, countedAt) {
  const period = data.first_at
    ? `, from ${minute(Date.parse(data.first_at) / 1000)} to ${minute(Date.parse(data.last_at) / 1000)}`
    : "";
  byId("said").textContent =
    `Showing ${count(data.n_shown)} of ${count(data.n_accounts)} accounts and ` +
    `${count(data.n_links_shown)} of ${count(data.n_links)} links (${count(data.n_shares)} shares)${period}. ` +
    `${count(data.community_sizes.length)} communities` +
    (data.modularity === null ? "." : `, modularity ${data.modularity.toFixed(3)}.`) +
    (data.n_links_shown > MOST_DRAWN
      ? ` The ${count(MOST_DRAWN)} strongest links are drawn; choose an account to see all of its own.`
      : "") +
    ` Counted ${minute(countedAt / 1000)}.`;
}

// what goes through many posts is counted behind the page: asked for until it is there
async function counted(source) {
  for (;;) {
    const answer = await fetch(source);
    if (answer.status !== 202) return answer;
    byId("said").textContent = "Counting shares and laying them out, which takes a while …";
    const seconds = Number(answer.headers.get("Retry-After"));
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

async function start() {
  const box = byId("network");
  try {
    const answer = await counted(box.dataset.source);
    const data = await answer.json();
    if (!answer.ok) throw new Error(data.detail);
    sayHowMuch(data, new Date(answer.headers.get("Last-Modified")));
    if (!data.n_shown) {
      byId("chosen").replaceChildren(element("p", {}, "No shares between known accounts in this period."));
      return;
    }
    const network = new Network(box, data);
    connect(network);
    network.showLegend();
    network.tell();
    box.dataset.ready = "yes";
  } catch (error) {
    byId("said").textContent = `The network cannot be drawn: ${error.message}`;
  }
}

start();
