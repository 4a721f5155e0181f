using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Sampling;

/// <summary>What one more token means for the text of a sequence.</summary>
/// <param name="Text">New text that is safe to show; with Finish set, all that was still held back too.</param>
/// <param name="Finish">Set when the token ends the sequence.</param>
/// <param name="StopTokenId">The stop id that ended it, unless it was the primary EOS.</param>
/// <param name="StopString">The stop string that ended it.</param>
public readonly record struct OutputStep(string Text, FinishReason? Finish, int? StopTokenId, string? StopString);

/// <summary>
/// The text of one sequence and the moment it ends (spec/http-api.md §7.3, §7.4): EOS, stop ids, stop strings, MaxTokens.
/// The context length is the engine's to watch: it ends the sequence by <see cref="Flush"/>. Not thread-safe.
/// </summary>
public sealed class OutputText(Tokenizer tokenizer, SamplingParams p)
{
    private readonly IncrementalDetokenizer _detokenizer = new(tokenizer, p.SkipSpecialTokens, continuesText: true);
    private readonly StopStrings? _stops = p.Stop.Count > 0 ? new StopStrings(p.Stop) : null;
    private int _count;
    private bool _ended;

    /// <summary>Adds the next token. Not to be called after a step with Finish set.</summary>
    /// <param name="tokenId">Its id.</param>
    /// <param name="ends">It ends the text even if EOS is ignored or there are fewer than MinTokens.</param>
    public OutputStep Append(int tokenId, bool ends = false)
    {
        _count++;
        if ((Ends(tokenId, out var stopTokenId) && _count > p.MinTokens) || ends)
        {
            var shown = p.IncludeStopInOutput ? Release(_detokenizer.Append(tokenId)) : "";
            return new OutputStep(shown + Flush(), FinishReason.Stop, stopTokenId, null);
        }

        var text = _detokenizer.Append(tokenId);
        if (_stops is not null)
        {
            if (_stops.Append(text, match: _count >= p.MinTokens, p.IncludeStopInOutput, out text) is { } stop)
            {
                _ended = true;
                return new OutputStep(text, FinishReason.Stop, null, stop);
            }
        }

        return _count >= p.MaxTokens
            ? new OutputStep(text + Flush(), FinishReason.Length, null, null)
            : new OutputStep(text, null, null, null);
    }

    /// <summary>Text held back until now, for an end that no token caused. Empty after a step with Finish set.</summary>
    public string Flush()
    {
        if (_ended)
            return "";
        _ended = true;
        return (_stops?.Flush() ?? "") + _detokenizer.Flush();
    }

    /// <summary>Puts text behind what is held back without looking for stop strings.</summary>
    private string Release(string text) => (_stops?.Flush() ?? "") + text;

    private bool Ends(int tokenId, out int? stopTokenId)
    {
        stopTokenId = null;
        if (tokenId == tokenizer.EosId && !p.IgnoreEos)
            return true;
        if (p.StopTokenIds.Contains(tokenId) || (!p.IgnoreEos && tokenizer.ExtraEosIds.Contains(tokenId)))
            stopTokenId = tokenId;
        return stopTokenId is not null;
    }
}
