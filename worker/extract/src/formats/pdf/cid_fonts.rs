//! Letters of embedded fonts with character identifiers (CIDs) that have no map to Unicode: by the collection of characters that
//! the identifiers are of, such as Adobe-Japan1, or by the font's program read backwards, from the glyph to its character.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;

use hayro_interpret::font::{FontData, OutlineGlyph};
use hayro_interpret::hayro_cmap::{BfString, CMap, CMapName, CidFamily, load_embedded};
use hayro_interpret::hayro_syntax::object::{Array, Dict, Object, Stream, String as PdfString};
use skrifa::raw::ps::agl;
use unicode_normalization::UnicodeNormalization;

/// Most bytes of a code.
const MAX_CODE_BYTES: u8 = 4;

/// The embedded CID fonts of a file.
pub(super) struct CidFonts {
    fonts: Vec<CidFont>,
    /// The programs of glyphs by their keys; `None`: the program is not embedded but a substitute, which has other glyphs.
    programs: HashMap<u128, Option<Program>>,
}

/// An embedded CID font.
struct CidFont {
    program: u64,
    encoding: CMap,
    characters: Characters,
}

/// The meaning of a font's identifiers.
#[derive(Clone)]
enum Characters {
    /// They are those of a collection with a map to Unicode.
    Collection(Rc<CMap>),
    /// They are code points.
    Unicode,
    /// They are numbers of glyphs.
    Glyphs,
}

/// The letters of a program's glyphs.
struct Program {
    hash: u64,
    letters: HashMap<u32, String>,
}

impl CidFonts {
    pub(super) fn new(fonts: &[Dict<'_>]) -> Self {
        let mut collections = Vec::new();
        let fonts = fonts.iter().filter_map(|font| CidFont::new(font, &mut collections)).collect();
        Self { fonts, programs: HashMap::new() }
    }

    /// The letters of a glyph, if it is of a font of the file.
    pub(super) fn letters(&mut self, glyph: &OutlineGlyph) -> Option<String> {
        if self.fonts.is_empty() {
            return None;
        }
        let data = glyph.font_data()?;
        let fonts = &self.fonts;
        let program = self.programs.entry(data.cache_key).or_insert_with(|| {
            let hash = hash(bytes(&data.data));
            fonts.iter().any(|font| font.program == hash).then(|| Program::new(hash, data.data.clone()))
        });
        let program = program.as_ref()?;
        let code = glyph.char_code();
        let of_collection =
            fonts.iter().filter(|font| font.program == program.hash).find_map(|font| font.letters(code));
        of_collection.or_else(|| program.letters.get(&glyph.glyph_id().to_u32()).cloned())
    }
}

impl CidFont {
    fn new(font: &Dict<'_>, collections: &mut Vec<(CMapName<'static>, Rc<CMap>)>) -> Option<Self> {
        let encoding = encoding(&font.get::<Object<'_>>(b"Encoding")?)?;
        let descendant = font.get::<Array<'_>>(b"DescendantFonts")?.iter::<Dict<'_>>().next()?;
        let descriptor = descendant.get::<Dict<'_>>(b"FontDescriptor")?;
        let files: [&[u8]; 3] = [b"FontFile2", b"FontFile3", b"FontFile"];
        let stream = files.iter().find_map(|key| descriptor.get::<Stream<'_>>(*key))?;
        let program = hash(&stream.decoded_data().ok()?);
        let declared = encoding.metadata().character_collection.as_ref().map(|collection| collection.family.clone());
        let family = declared.filter(|family| *family != CidFamily::AdobeIdentity).or_else(|| family(&descendant));
        let characters = family.map_or(Characters::Glyphs, |family| characters(&family, collections));
        Some(Self { program, encoding, characters })
    }

    /// The letters of a code, if its identifier says them.
    fn letters(&self, code: u32) -> Option<String> {
        let cid = (1..=MAX_CODE_BYTES).find_map(|length| self.encoding.lookup_cid_code(code, length))?;
        match &self.characters {
            Characters::Collection(map) => match map.lookup_bf_string(cid)? {
                BfString::Char(letter) => Some(letter.to_string()),
                BfString::String(letters) => Some(letters),
            },
            Characters::Unicode => char::from_u32(cid).filter(|letter| !letter.is_control()).map(String::from),
            Characters::Glyphs => None,
        }
    }
}

/// The collection of characters that a font says its identifiers are of.
fn family(descendant: &Dict<'_>) -> Option<CidFamily> {
    let info = descendant.get::<Dict<'_>>(b"CIDSystemInfo")?;
    let text = |key: &[u8]| info.get::<PdfString<'_>>(key).map(|text| text.as_bytes().to_vec());
    Some(CidFamily::from_registry_ordering(&text(b"Registry")?, &text(b"Ordering")?))
}

fn characters(family: &CidFamily, collections: &mut Vec<(CMapName<'static>, Rc<CMap>)>) -> Characters {
    if matches!(family, CidFamily::Custom { ordering, .. } if ordering == b"UCS") {
        return Characters::Unicode;
    }
    let Some(name) = family.ucs2_cmap() else { return Characters::Glyphs };
    if let Some((_, map)) = collections.iter().find(|(known, _)| *known == name) {
        return Characters::Collection(Rc::clone(map));
    }
    let Some(map) = load_embedded(name).and_then(|data| CMap::parse(data, load_embedded)) else {
        return Characters::Glyphs;
    };
    let map = Rc::new(map);
    collections.push((name, Rc::clone(&map)));
    Characters::Collection(map)
}

/// The map of codes to identifiers: a predefined one, or one of the file.
fn encoding(object: &Object<'_>) -> Option<CMap> {
    match object {
        Object::Name(name) => match CMapName::from_bytes(name) {
            CMapName::IdentityH => Some(CMap::identity_h()),
            CMapName::IdentityV => Some(CMap::identity_v()),
            name => CMap::parse(load_embedded(name)?, load_embedded),
        },
        Object::Stream(stream) => CMap::parse(&stream.decoded_data().ok()?, load_embedded),
        _ => None,
    }
}

impl Program {
    fn new(hash: u64, data: FontData) -> Self {
        let font = skrifa::Font::new(data, 0);
        Self { hash, letters: font.map(|font| glyph_letters(&font)).unwrap_or_default() }
    }
}

/// The letters of the glyphs of a program: by its map of characters, otherwise by the names of its glyphs.
fn glyph_letters(font: &skrifa::Font) -> HashMap<u32, String> {
    let mut letters: HashMap<u32, char> = HashMap::new();
    let charmap = font.charmap();
    // Symbols have codes of their own, and a map for old Macs is that of the bytes of a simple font.
    if !charmap.unicode_is_symbol() && !charmap.unicode_is_mac_roman() {
        for (code, glyph) in charmap.unicodes() {
            let Some(letter) = char::from_u32(code).filter(|letter| !letter.is_control()) else { continue };
            let known = letters.entry(glyph.to_u32()).or_insert(letter);
            // Of several letters with one shape the plain one is meant: not the radical, and not the blank that does not break.
            if !is_plain(*known) && is_plain(letter) {
                *known = letter;
            }
        }
    }
    let mut letters: HashMap<u32, String> =
        letters.into_iter().map(|(glyph, letter)| (glyph, letter.to_string())).collect();
    for (glyph, name) in font.glyph_names() {
        if !name.is_synthesized() && !letters.contains_key(&glyph.to_u32()) {
            let named: String = agl::name_to_chars(name.as_str()).collect();
            if !named.is_empty() {
                letters.insert(glyph.to_u32(), named);
            }
        }
    }
    letters
}

/// Whether a letter is no other form of another one.
fn is_plain(letter: char) -> bool {
    std::iter::once(letter).nfkc().eq(std::iter::once(letter))
}

fn bytes(data: &FontData) -> &[u8] {
    data.as_ref().as_ref()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
