// Changes the page's present nodes into those of newly fetched HTML, keyed by id: what stays the same is not touched,
// so images are not loaded again, and focus, checked boxes, open folds, playing and scrolling stay as they are.

/** Make the children of `old` like those of `fresh` (a fragment or an element that may be taken apart). */
export function morphChildren(old, fresh) {
  const keyed = new Map();
  for (const child of old.children) if (child.id) keyed.set(child.id, child);
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    let found = null;
    if (wanted.id && keyed.has(wanted.id)) {
      found = keyed.get(wanted.id);
    } else if (!wanted.id) {
      let candidate = place;
      while (candidate && candidate.nodeType === 1 && candidate.id) candidate = candidate.nextSibling;
      if (candidate && alike(candidate, wanted)) found = candidate;
    }
    if (found) {
      if (found !== place) old.insertBefore(found, place);
      else place = place.nextSibling;
      morphNode(found, wanted);
    } else {
      old.insertBefore(wanted, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    if (!(place.nodeType === 1 && place.hasAttribute("data-keep"))) place.remove();
    place = next;
  }
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && !(a.nodeType === 1 && a.id);
}

function morphNode(old, fresh) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return;
  }
  if (old.hasAttribute("data-keep") || old.isEqualNode(fresh)) return;
  morphAttributes(old, fresh);
  if (old.nodeName === "TEXTAREA" || old.nodeName === "SELECT") {
    if (old !== document.activeElement) old.value = fresh.value;
    return;
  }
  morphChildren(old, fresh);
}

function morphAttributes(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value && !stays(old, name)) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !stays(old, name)) old.removeAttribute(name);
  }
}

// What a person did here wins over what the server knows: opened folds and dialogs, typed values, what is playing.
function stays(node, name) {
  if (name === "open") return node.nodeName === "DETAILS" || node.nodeName === "DIALOG";
  if (name === "value") return node.nodeName === "INPUT" && node.type !== "hidden";
  if (name === "checked") return true;
  return name === "aria-pressed" && node.hasAttribute("data-play");
}
