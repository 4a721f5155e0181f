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
    private readonly CompletionRequest _request;
    private readonly EncodedPrompt _prompt;
    private readonly Tokenizer _tokenizer;
    private readonly CompletionLogprobsBuilder? _logprobs;
    private readonly StringBuilder _text = new();
    private List<int> _tokenIds = [];
    private IReadOnlyList<IReadOnlyDictionary<string, PromptLogprob>?>? _promptLogprobs;
    private GenerationFinished? _finished;
    private bool _anyTaken;

    public ChoiceBuilder(int index, CompletionRequest request, EncodedPrompt prompt, Tokenizer tokenizer)
    {
        Index = index;
        _request = request;
        _prompt = prompt;
        _tokenizer = tokenizer;
        _logprobs = request.Logprobs is { } top ? new CompletionLogprobsBuilder(tokenizer, top, request.ReturnTokensAsTokenIds) : null;
        // With return_token_ids, prompt and output can be told apart only if the text is the output alone.
        if (request is { Echo: true, ReturnTokenIds: false })
            _text.Append(prompt.Text);
    }

    public int Index { get; }

    public int PromptTokens => _prompt.TokenIds.Count;

    /// <summary>Generated so far, the token that ends the choice included.</summary>
    public int CompletionTokens { get; private set; }

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
                if (_request.ReturnTokenIds)
                    _tokenIds.Add(token.TokenId);
                _logprobs?.Add(token.TokenId, token.Logprobs);
                // The finish reason travels with the last token, as clients expect of the last chunk.
                return CompletionTokens < _request.MaxTokens;
            case GenerationFinished finished:
                _text.Append(finished.Text);
                _finished = finished;
                return true;
            default:
                throw new ArgumentOutOfRangeException(nameof(next), next, "unknown generation event");
        }
    }

    /// <summary>Everything since the last chunk.</summary>
    public CompletionChunkChoice TakeChunk()
    {
        var chunk = new CompletionChunkChoice
        {
            Index = Index,
            Text = _text.ToString(),
            Logprobs = _logprobs?.Take(),
            FinishReason = FinishReason,
            StopReason = StopReason,
            TokenIds = _request.ReturnTokenIds ? _tokenIds : null,
            PromptTokenIds = _request.ReturnTokenIds && !_anyTaken ? _prompt.TokenIds : null,
        };
        _text.Clear();
        _tokenIds = [];
        _anyTaken = true;
        return chunk;
    }

    /// <summary>The whole choice; nothing may have been taken before.</summary>
    public CompletionChoice Build() => new()
    {
        Index = Index,
        Text = _text.ToString(),
        Logprobs = _logprobs?.Take(),
        FinishReason = FinishReason ?? throw new InvalidOperationException($"choice {Index} is not finished"),
        StopReason = StopReason,
        TokenIds = _request.ReturnTokenIds ? _tokenIds : null,
        PromptTokenIds = _request.ReturnTokenIds ? _prompt.TokenIds : null,
        PromptLogprobs = _promptLogprobs,
    };

    /// <summary>As on the wire (§7.4); null while the choice grows.</summary>
    public string? FinishReason => _finished?.Reason switch
    {
        null => null,
        Inference.FinishReason.Stop => "stop",
        Inference.FinishReason.Length => "length",
        _ => "abort",
    };

    private StopReason? StopReason => _finished is null ? null : Responses.StopReason.Of(_finished.StopTokenId, _finished.StopString);

    private void AddPrompt(PromptScored scored)
    {
        if (_request.Echo && _logprobs is not null)
        {
            for (int i = 0; i < scored.Tokens.Count; i++)
                _logprobs.Add(_prompt.TokenIds[i], scored.Tokens[i]);
        }

        if (_request.PromptLogprobs is { } top)
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
