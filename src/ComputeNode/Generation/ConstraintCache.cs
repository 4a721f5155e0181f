using Eigengate.ComputeNode.Requests;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tokenization;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Generation;

/// <summary>
/// The compiled output constraints of one vocabulary; the least recently used leave. Compiling happens on the request's
/// own thread, once for concurrent requests with the same constraint. Safe for concurrent use.
/// </summary>
internal sealed class ConstraintCache(Tokenizer tokenizer)
{
    /// <summary>Each holds at most some 40 MiB, mostly far less.</summary>
    private const int Capacity = 32;

    private readonly Lock _lock = new();
    private readonly Dictionary<OutputConstraint, LinkedListNode<(OutputConstraint Key, Lazy<TokenMasks> Masks)>> _entries = [];
    private readonly LinkedList<(OutputConstraint Key, Lazy<TokenMasks> Masks)> _recent = [];

    /// <exception cref="ApiException">400 that names the field and what cannot be enforced.</exception>
    public TokenMasks Get(OutputFormat format)
    {
        try
        {
            return Entry(format.Constraint).Value;
        }
        catch (ConstraintException e)
        {
            throw new ApiException(ApiError.BadRequest($"{format.Field}: {e.Message}.", format.Field));
        }
    }

    private Lazy<TokenMasks> Entry(OutputConstraint constraint)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue(constraint, out var node))
                _recent.Remove(node);
            else
                _entries[constraint] = node = new((constraint, new Lazy<TokenMasks>(() => new TokenMasks(constraint.Compile(), tokenizer))));
            _recent.AddFirst(node);
            if (_entries.Count > Capacity)
            {
                _entries.Remove(_recent.Last!.Value.Key);
                _recent.RemoveLast();
            }

            return node.Value.Masks;
        }
    }
}
