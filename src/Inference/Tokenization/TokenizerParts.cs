namespace Eigengate.Inference.Tokenization;

/// <summary>What either kind of tokenizer file is read into.</summary>
/// <param name="File">The file it was read from.</param>
/// <param name="Tokens">Token ids with the bytes they decode to; ids may have gaps.</param>
/// <param name="TokenIds">Token id of each written form.</param>
/// <param name="Added">Tokens matched as written.</param>
/// <param name="Model">The byte-pair model.</param>
/// <param name="Prefix">Ids put before a text when special tokens are wanted; <paramref name="Suffix"/> likewise after it.</param>
/// <param name="StrippedSpaces">Number of spaces that decoding removes at the start of a text.</param>
/// <param name="BosId">Begin-of-sequence token, where the file itself names one; <paramref name="EosId"/> likewise.</param>
internal sealed record TokenizerParts(
    string File,
    IReadOnlyList<(int Id, byte[] Bytes)> Tokens,
    IReadOnlyDictionary<string, int> TokenIds,
    IReadOnlyList<AddedToken> Added,
    TextNormalizer Normalizer,
    PreTokenizer PreTokenizer,
    BytePairModel Model,
    IReadOnlyList<int> Prefix,
    IReadOnlyList<int> Suffix,
    int StrippedSpaces,
    int? BosId = null,
    int? EosId = null);
