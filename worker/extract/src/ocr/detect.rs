//! The map of text that the first model gives, to boxes around lines.

/// A point of the map is text from this probability on.
const TEXT: f32 = 0.3;
/// Mean probability of a box from which on it is a line.
const BOX: f32 = 0.5;
/// How much larger than its core a line is.
const UNCLIP: f32 = 1.6;
/// Smallest side of a core, in points.
const MIN_SIDE: usize = 3;

/// A box, in shares of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f32,
    pub(crate) top: f32,
    pub(crate) right: f32,
    pub(crate) bottom: f32,
}

impl Area {
    /// The place in a picture of a box in the picture turned by 90 degrees clockwise, so many times.
    pub(super) fn turned_back(self, times: usize) -> Self {
        (0..times % 4).fold(self, |area, _| Self {
            left: area.top,
            top: 1.0 - area.right,
            right: area.bottom,
            bottom: 1.0 - area.left,
        })
    }
}

/// The boxes of a map of probabilities, from its rows.
pub(super) fn areas(map: &[f32], width: usize, height: usize) -> Vec<Area> {
    let mut seen = vec![false; map.len()];
    let mut areas = Vec::new();
    let mut stack = Vec::new();
    for start in 0..map.len() {
        if seen[start] || map[start] < TEXT {
            continue;
        }
        let (mut left, mut right, mut top, mut bottom) = (width, 0, height, 0);
        let (mut sum, mut count) = (0.0, 0_usize);
        seen[start] = true;
        stack.push(start);
        while let Some(place) = stack.pop() {
            let (x, y) = (place % width, place / width);
            (left, right, top, bottom) = (left.min(x), right.max(x), top.min(y), bottom.max(y));
            sum += map[place];
            count += 1;
            for (to_x, to_y) in [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)] {
                if to_x < width && to_y < height {
                    let next = to_y * width + to_x;
                    if !seen[next] && map[next] >= TEXT {
                        seen[next] = true;
                        stack.push(next);
                    }
                }
            }
        }
        let (wide, high) = (right - left + 1, bottom - top + 1);
        if wide.min(high) < MIN_SIDE || sum / (count as f32) < BOX {
            continue;
        }
        // The core of a line is smaller than the line by a share of its area.
        let grow = (wide * high) as f32 * UNCLIP / (2.0 * (wide + high) as f32);
        areas.push(Area {
            left: ((left as f32 - grow) / width as f32).max(0.0),
            top: ((top as f32 - grow) / height as f32).max(0.0),
            right: ((right as f32 + 1.0 + grow) / width as f32).min(1.0),
            bottom: ((bottom as f32 + 1.0 + grow) / height as f32).min(1.0),
        });
    }
    areas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocr::Picture;

    #[test]
    fn box_in_a_turned_picture_is_found_in_the_picture() {
        // One black point in the second of three rows, at the left edge.
        let mut points = vec![255; 2 * 3 * 3];
        points[6..9].fill(0);
        let picture = Picture { width: 2, height: 3, points };
        for times in 0..4 {
            let turned = picture.turned(times);
            let place = turned.points.chunks(3).position(|point| point == [0; 3]).expect("the point");
            let (x, y) = ((place % turned.width) as f32, (place / turned.width) as f32);
            let (width, height) = (turned.width as f32, turned.height as f32);
            let area = Area { left: x / width, top: y / height, right: (x + 1.0) / width, bottom: (y + 1.0) / height };
            let Area { left, top, right, bottom } = area.turned_back(times);
            let expected = [0.0, 1.0 / 3.0, 0.5, 2.0 / 3.0];
            for (found, expected) in [left, top, right, bottom].into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{times}: {area:?}");
            }
        }
    }

    #[test]
    fn connected_points_become_a_box() {
        let (width, height) = (40, 20);
        let mut map = vec![0.0; width * height];
        for y in 5..10 {
            map[y * width + 4..y * width + 30].fill(0.9);
        }
        map[19 * width + 39] = 0.9;
        let areas = areas(&map, width, height);
        assert_eq!(areas.len(), 1);
        assert!(
            areas[0].left < 0.1 && areas[0].right > 0.75 && areas[0].top < 0.25 && areas[0].bottom > 0.5,
            "{areas:?}"
        );
    }
}
