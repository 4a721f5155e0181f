using System.Globalization;
using System.Text;
using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Requests;
using Eigengate.Inference;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Tokenization;

namespace Eigengate.ComputeNode.Responses;

/// <summary>
/// Turns the events of one sequence into its choice, in pieces for a stream or as a whole. Both ways share every rule, so
/// the concatenated pieces equal the whole (spec/http-api.md §8).
/// </summary>
internal sealed class ChoiceBuilder
{
    private readonly GenerationFields _fields;
    private readonly EncodedPrompt _prompt;
    private readonly Tokenizer _tokenizer;
    private readonly StringBuilder _text = new();
    private List<ScoredToken>? _tokens;
    private List<int> _tokenIds = [];
    private IReadOnlyList<IReadOnlyDictionary<string, PromptLogprob>?>? _promptLogprobs;
    private GenerationFinished? _finished;
    private bool _anyTaken;

    public ChoiceBuilder(int index, GenerationPlan plan, Tokenizer tokenizer)
    {
        Index = index;
        _fields = plan.Fields;
        _prompt = plan.PromptOf(index);
        _tokenizer = tokenizer;
        _tokens = NoTokens();
        _text.Append(plan.Input.EchoOf(_prompt));
    }

    public int Index { get; }

    public int PromptTokens => _prompt.TokenIds.Count;

    /// <summary>Generated so far, the token that ends the choice included.</summary>
    public int CompletionTokens { get; private set; }

    /// <summary>Prompt tokens that were in the prefix cache; known at the end.</summary>
    public int CachedPromptTokens => _finished?.CachedPromptTokens ?? 0;

    /// <summary>As on the wire (§7.4); null while the choice grows.</summary>
    public string? FinishReason => _finished?.Reason switch
    {
        null => null,
        Inference.FinishReason.Stop => "stop",
        Inference.FinishReason.Length => "length",
        _ => "abort",
    };

    private StopReason? StopReason => _finished is null ? null : Responses.StopReason.Of(_finished.StopTokenId, _finished.StopString);

    /// <summary>Takes the next event. True when a stream should send what there is.</summary>
    public bool Add(GenerationEvent next)
    {
        switch (next)
        {
            case PromptScored scored:
                AddPrompt(scored);
                return false;
            case TokenGenerated token:
                CompletionTokens++;
                _text.Append(token.Text);
                if (_fields.ReturnTokenIds)
                    _tokenIds.Add(token.TokenId);
                _tokens?.Add(new ScoredToken(token.TokenId, token.Logprobs));
                // The finish reason travels with the last token, as clients expect of the last chunk.
                return CompletionTokens < _prompt.MaxTokens;
            case GenerationFinished finished:
                _text.Append(finished.Text);
                _finished = finished;
                return true;
            default:
                throw new ArgumentOutOfRangeException(nameof(next), next, "unknown generation event");
        }
    }

    /// <summary>Everything since the last piece.</summary>
    public ChoicePiece Take()
    {
        var piece = new ChoicePiece
        {
            Index = Index,
            Text = _text.ToString(),
            Tokens = _tokens,
            FinishReason = FinishReason,
            StopReason = StopReason,
            TokenIds = _fields.ReturnTokenIds ? _tokenIds : null,
            PromptTokenIds = _fields.ReturnTokenIds && !_anyTaken ? _prompt.TokenIds : null,
            PromptLogprobs = _promptLogprobs,
        };
        _text.Clear();
        _tokens = NoTokens();
        _tokenIds = [];
        _promptLogprobs = null;
        _anyTaken = true;
        return piece;
    }

    private List<ScoredToken>? NoTokens() => _fields.Logprobs is null ? null : [];

    private void AddPrompt(PromptScored scored)
    {
        if (_fields.ScorePrompt)
            _tokens!.AddRange(scored.Tokens.Select((scores, i) => new ScoredToken(_prompt.TokenIds[i], scores)));
        if (_fields.PromptLogprobs is { } top)
            _promptLogprobs = [.. scored.Tokens.Select(position => position is null ? null : Candidates(position, top))];
    }

    private Dictionary<string, PromptLogprob> Candidates(TokenLogprobs position, int top)
    {
        var candidates = new Dictionary<string, PromptLogprob> { [Key(position.Chosen)] = Show(position.Chosen, position.Rank) };
        for (int i = 0; i < Math.Min(top, position.Top.Count); i++)
            candidates.TryAdd(Key(position.Top[i]), Show(position.Top[i], i + 1));
        return candidates;

        string Key(TokenLogprob token) => token.TokenId.ToString(CultureInfo.InvariantCulture);
        PromptLogprob Show(TokenLogprob token, int rank) => new(token.Logprob, rank, _tokenizer.TokenText(token.TokenId));
    }
}
