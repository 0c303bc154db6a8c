// Spans count Unicode code points; JavaScript's strings count UTF-16 units, of which an emoji has two.

/** Where the code points with these numbers begin, in UTF-16 units. Numbers ascend; one beyond the end is the end. */
export function utf16Offsets(text, ...points) {
  const offsets = [];
  let unit = 0;
  let point = 0;
  for (const wanted of points) {
    while (point < wanted && unit < text.length) {
      unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
      point += 1;
    }
    offsets.push(unit);
  }
  return offsets;
}

/** Moves an offset off the middle of a surrogate pair, to its front. */
export function whole(text, offset) {
  if (offset <= 0) return 0;
  if (offset >= text.length) return text.length;
  const unit = text.charCodeAt(offset);
  const before = text.charCodeAt(offset - 1);
  return unit >= 0xdc00 && unit < 0xe000 && before >= 0xd800 && before < 0xdc00 ? offset - 1 : offset;
}

export function countPoints(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
