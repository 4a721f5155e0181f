using System.Buffers;
using System.Text;

namespace Eigengate.Inference.Tokenization;

/// <summary>
/// Text to token ids and back, as the model's own files define it: byte-level BPE or SentencePiece BPE.
/// Immutable after loading and safe for concurrent use.
/// </summary>
public sealed class Tokenizer
{
    private readonly TokenizerParts _parts;
    private readonly BytePairEncoder _encoder;
    private readonly AddedTokens _addedInText;
    private readonly AddedTokens _addedInNormalizedText;
    private readonly TokenTable _tokens;
    private readonly bool[] _special;
    private readonly Lazy<SortedTokens> _sortedTokens;

    private Tokenizer(TokenizerParts parts, StopIds stops)
    {
        _parts = parts;
        _encoder = new BytePairEncoder(parts.Model);
        _addedInText = new AddedTokens(parts.Added.Where(t => !t.Normalized).Select(t => (t.Content, t)));
        _addedInNormalizedText = new AddedTokens(parts.Added.Where(t => t.Normalized).Select(t => (parts.Normalizer(t.Content, true), t)));
        _tokens = new TokenTable(parts.Tokens);
        _special = new bool[_tokens.Count];
        foreach (var token in parts.Added)
            _special[token.Id] = token.Special;
        _sortedTokens = new Lazy<SortedTokens>(() => new SortedTokens(this));
        BosId = stops.Bos;
        EosId = stops.Eos;
        ExtraEosIds = stops.ExtraEos;
    }

    /// <summary>Highest token id plus one. The model's output may be wider.</summary>
    public int VocabularySize => _tokens.Count;

    public int? BosId { get; }

    /// <summary>The token whose end is reported without an id (spec/http-api.md §7.4).</summary>
    public int EosId { get; }

    /// <summary>Further end tokens of the generation configuration; they behave as stop ids.</summary>
    public IReadOnlyList<int> ExtraEosIds { get; }

    /// <summary>Number of spaces that decoding removes at the very start of a text.</summary>
    internal int StrippedSpaces => _parts.StrippedSpaces;

    /// <summary>Built on first use.</summary>
    internal SortedTokens SortedTokens => _sortedTokens.Value;

    /// <summary>Reads tokenizer.json, or tokenizer.model where there is none, and the configuration files beside it.</summary>
    /// <exception cref="TokenizerFormatException">A file is missing, broken, or asks for something unsupported.</exception>
    public static Tokenizer Load(string modelDirectory)
    {
        var config = JsonField.ReadFile(Path.Combine(modelDirectory, "tokenizer_config.json"));
        var json = Path.Combine(modelDirectory, "tokenizer.json");
        var model = Path.Combine(modelDirectory, "tokenizer.model");
        var parts = File.Exists(json) ? TokenizerJsonReader.Read(json)
            : File.Exists(model) ? SentencePieceReader.Read(model, config)
            : throw new TokenizerFormatException(json, "$", "there is neither a tokenizer.json nor a tokenizer.model");
        return new Tokenizer(parts, StopIds.Resolve(modelDirectory, config, parts));
    }

    /// <summary>Token ids of a text. Special tokens written in the text become their ids.</summary>
    /// <param name="text">Any text; lone surrogates count as U+FFFD.</param>
    /// <param name="addSpecialTokens">Put the model's own special tokens, usually the begin token, around the text.</param>
    public int[] Encode(string text, bool addSpecialTokens = true)
    {
        var ids = new List<int>(text.Length / 3 + 8);
        var pieces = new List<string>();
        if (addSpecialTokens)
            ids.AddRange(_parts.Prefix);
        foreach (var raw in _addedInText.Split(text, first: true))
        {
            if (raw.Text is null)
            {
                ids.Add(raw.TokenId);
                continue;
            }

            foreach (var segment in _addedInNormalizedText.Split(_parts.Normalizer(raw.Text, raw.First), raw.First))
            {
                if (segment.Text is null)
                    ids.Add(segment.TokenId);
                else
                    EncodeSegment(segment.Text, segment.First, pieces, ids);
            }
        }

        if (addSpecialTokens)
            ids.AddRange(_parts.Suffix);
        return [.. ids];
    }

    /// <summary>The text of the ids; bytes that are no UTF-8 become U+FFFD.</summary>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens)
    {
        var bytes = new ArrayBufferWriter<byte>(ids.Length * 4 + 16);
        foreach (var id in ids)
        {
            if (!(skipSpecialTokens && IsSpecial(id)))
                bytes.Write(TokenBytes(id));
        }

        var text = Encoding.UTF8.GetString(bytes.WrittenSpan);
        var start = 0;
        while (start < StrippedSpaces && start < text.Length && text[start] == ' ')
            start++;
        return text[start..];
    }

    public bool IsSpecial(int id) => (uint)id < (uint)_special.Length && _special[id];

    /// <summary>What the token adds to a text, as bytes: half a character is possible. Empty for an id that is no token.</summary>
    public ReadOnlySpan<byte> TokenBytes(int id) => _tokens[id];

    /// <summary>The token alone as text, for log-probabilities; U+FFFD stands for partial characters.</summary>
    public string TokenText(int id) => Encoding.UTF8.GetString(TokenBytes(id));

    private void EncodeSegment(string text, bool first, List<string> pieces, List<int> ids)
    {
        pieces.Clear();
        _parts.PreTokenizer(text, first, pieces);
        foreach (var piece in pieces)
            _encoder.Encode(piece, ids);
    }
}
