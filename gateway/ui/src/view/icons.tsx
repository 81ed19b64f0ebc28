// The few signs of the page, drawn as strokes in the colour of the text.

const SIGNS = {
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M8 8h8v8H8z",
  plus: "M12 5v14M5 12h14",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6 6 18",
  down: "M12 5v14M6 13l6 6 6-6",
  chevron: "m9 6 6 6-6 6",
  check: "m5 12.5 4.5 4.5L19 7.500",
  cross: "M7 7l10 10M17 7 7 17",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  leave: "M14 4H6v16h8M10 12h10M16 8l4 4-4 4",
} as const;

export function Icon({ name }: { name: keyof typeof SIGNS }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={SIGNS[name]} />
    </svg>
  );
}

export function Mark() {
  return <img class="mark" src="/creel.svg" width="28" height="28" alt="" />;
}
