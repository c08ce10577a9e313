/** Colours of heat: the steps of a legend, and everything between them. */

type Rgb = readonly [number, number, number];

/** Colours from nothing to the most, as the legend's swatches have them in the theme in force. */
export class Heat {
  private readonly steps: readonly Rgb[];

  constructor(swatches: Iterable<Element>) {
    this.steps = [...swatches].map((swatch) => rgbOf(getComputedStyle(swatch).backgroundColor));
  }

  /** The colour of a part of the most, 0 to 1. Small parts are drawn apart: they are many. */
  of(part: number): string {
    return `rgb(${this.rgb(part).map(Math.round).join(" ")})`;
  }

  /** The colour of text on `of(part)`: the one of both that can be read. */
  ink(part: number): string {
    const [red, green, blue] = this.rgb(part).map(linear) as unknown as Rgb;
    const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    return light > 0.2 ? "#101415" : "#ffffff";
  }

  private rgb(part: number): Rgb {
    const { steps } = this;
    const at = Math.sqrt(Math.min(1, Math.max(0, part))) * (steps.length - 1);
    const low = steps[Math.floor(at)] ?? BLACK;
    const high = steps[Math.ceil(at)] ?? low;
    const between = (one: 0 | 1 | 2) => low[one] + (high[one] - low[one]) * (at % 1);
    return [between(0), between(1), between(2)];
  }
}

const BLACK: Rgb = [0, 0, 0];

function rgbOf(css: string): Rgb {
  const [red = 0, green = 0, blue = 0] = (css.match(/[\d.]+/g) ?? []).map(Number);
  return [red, green, blue];
}

function linear(value: number): number {
  const part = value / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}
