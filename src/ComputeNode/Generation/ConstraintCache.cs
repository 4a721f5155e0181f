using Eigengate.ComputeNode.Requests;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tokenization;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Generation;

/// <summary>
/// The compiled output constraints of one vocabulary; the least recently used leave. A constraint is compiled once for concurrent
/// requests, few at a time, so that costly ones hold up only each other; when nobody waits any more it is given up. Safe for
/// concurrent use.
/// </summary>
internal sealed class ConstraintCache(Tokenizer tokenizer)
{
    /// <summary>Each holds at most some 40 MiB, mostly far less.</summary>
    private const int Capacity = 32;

    /// <summary>For the whole process: it is its processors that compiling takes.</summary>
    private static readonly SemaphoreSlim Turns = new(Math.Max(1, Environment.ProcessorCount / 2));

    private readonly Lock _lock = new();
    private readonly Dictionary<OutputConstraint, LinkedListNode<Compilation>> _entries = [];
    private readonly LinkedList<Compilation> _recent = [];

    /// <exception cref="ApiException">400 that names the field and what cannot be enforced.</exception>
    public async Task<TokenMasks> GetAsync(OutputFormat format, CancellationToken cancel)
    {
        Compilation compilation = Join(format.Constraint);
        try
        {
            return await compilation.Masks.WaitAsync(cancel);
        }
        catch (ConstraintException e)
        {
            throw new ApiException(ApiError.BadRequest($"{format.Field}: {e.Message}.", format.Field));
        }
        finally
        {
            Leave(compilation);
        }
    }

    private Compilation Join(OutputConstraint constraint)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue(constraint, out var node))
                _recent.Remove(node);
            else
                _entries[constraint] = node = new(new Compilation(constraint, CompileAsync));
            _recent.AddFirst(node);
            if (_entries.Count > Capacity)
                Remove(_recent.Last!);
            node.Value.Waiting++;
            return node.Value;
        }
    }

    private void Leave(Compilation compilation)
    {
        lock (_lock)
        {
            if (--compilation.Waiting > 0)
                return;
            using Compilation unwanted = compilation;
            if (unwanted.Masks.IsCompleted)
                return;
            unwanted.GiveUp();
            if (_entries.TryGetValue(compilation.Constraint, out var node) && node.Value == compilation)
                Remove(node);
        }
    }

    private void Remove(LinkedListNode<Compilation> node)
    {
        _entries.Remove(node.Value.Constraint);
        _recent.Remove(node);
    }

    private async Task<TokenMasks> CompileAsync(OutputConstraint constraint, CancellationToken cancel)
    {
        await Turns.WaitAsync(cancel);
        try
        {
            return await Task.Run(() => new TokenMasks(constraint.Compile(cancel), tokenizer), cancel);
        }
        finally
        {
            Turns.Release();
        }
    }

    private sealed class Compilation : IDisposable
    {
        private readonly CancellationTokenSource _cancel = new();

        public Compilation(OutputConstraint constraint, Func<OutputConstraint, CancellationToken, Task<TokenMasks>> compile)
        {
            Constraint = constraint;
            Masks = compile(constraint, _cancel.Token);
        }

        public OutputConstraint Constraint { get; }

        public Task<TokenMasks> Masks { get; }

        /// <summary>Requests that want the result; under the lock of the cache.</summary>
        public int Waiting { get; set; }

        public void GiveUp() => _cancel.Cancel();

        /// <summary>Nobody waits; the result stays.</summary>
        public void Dispose() => _cancel.Dispose();
    }
}
