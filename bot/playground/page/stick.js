// Scrolling as in a chat: at the end one stays at the end, whatever grows or shrinks; elsewhere nothing moves.

const NEAR_PX = 48;

export const atEnd = (scroller) => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_PX;

export function toEnd(scroller) {
  scroller.scrollTop = scroller.scrollHeight;
}

/**
 * Keep *scroller* at its end through changes of its own size and of what is in it (late images, new lines). While it
 * shows a page, from `top()` to the next `go()`, it is let alone.
 */
export function stickToEnd(scroller) {
  let stuck = true;
  let page = false;
  const follow = () => stuck && !page && toEnd(scroller);
  const sizes = new ResizeObserver(follow);
  sizes.observe(scroller);
  const watch = () => {
    for (const child of scroller.children) sizes.observe(child);
    follow();
  };
  new MutationObserver(watch).observe(scroller, { childList: true });
  let [top, tall] = [scroller.scrollTop, scroller.scrollHeight];
  scroller.addEventListener("scroll", () => {
    if (atEnd(scroller)) stuck = true;
    else if (scroller.scrollTop < top && scroller.scrollHeight === tall) stuck = false;  // what shrinks scrolls up, too
    [top, tall] = [scroller.scrollTop, scroller.scrollHeight];
  });
  return {
    stuck: () => stuck,
    go() {
      [stuck, page] = [true, false];
      toEnd(scroller);
    },
    top() {
      page = true;
      scroller.scrollTop = 0;
    },
  };
}
