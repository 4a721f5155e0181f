using System.Runtime.CompilerServices;
using Eigengate.ChatTemplates.Nodes;
using Eigengate.ChatTemplates.Syntax;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>Everything one rendering changes: output, current scope, work done so far.</summary>
internal sealed class RenderState
{
    private const long CancellationInterval = 4096;

    private readonly CancellationToken _cancellation;
    private long _steps;
    private long _nextCancellationCheck = CancellationInterval;
    private int _callDepth;
    private Position _position;

    public RenderState(RenderOptions options, Scope scope, CancellationToken cancellation)
    {
        Options = options;
        Scope = scope;
        _cancellation = cancellation;
        Output = new TextBuilder(this);
    }

    public RenderOptions Options { get; }

    public Scope Scope { get; set; }

    public TextBuilder Output { get; private set; }

    /// <summary>Accounts for one node and remembers where errors that follow belong.</summary>
    public void Step(Node node)
    {
        _position = node.Position;
        Charge(1);
        EnsureStack();
    }

    /// <summary>Accounts for work before it is done, so that a refused operation has allocated nothing.</summary>
    public void Charge(long cost)
    {
        _steps += cost;
        if (_steps > Options.MaxSteps)
            throw Limit($"rendering needs more than {Options.MaxSteps} steps");
        if (_steps >= _nextCancellationCheck)
        {
            _nextCancellationCheck = _steps + CancellationInterval;
            _cancellation.ThrowIfCancellationRequested();
        }
    }

    public void ChargeText(long length)
    {
        if (length > Options.MaxTextLength)
            throw Limit($"a text is longer than {Options.MaxTextLength} characters");
        Charge(1 + (length / 4));
    }

    /// <summary>Accounts for reading through a text, which is cheaper than making one but not free.</summary>
    public void ChargeScan(string text) => Charge(text.Length / 16);

    /// <summary>Called by everything that recurses over values, whose depth a template can choose.</summary>
    public void EnsureStack()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw Limit("values or calls are nested too deeply");
    }

    /// <summary>Runs a part with its output collected; it sees names from <paramref name="scope"/>.</summary>
    public string Capture(Scope scope, Action run)
    {
        (TextBuilder outer, Scope outerScope) = (Output, Scope);
        (Output, Scope) = (new TextBuilder(this), scope);
        try
        {
            run();
            return Output.ToString();
        }
        finally
        {
            (Output, Scope) = (outer, outerScope);
        }
    }

    public T Nested<T>(Func<T> call)
    {
        if (_callDepth >= Options.MaxCallDepth)
            throw Limit($"macros call each other deeper than {Options.MaxCallDepth} levels");
        _callDepth++;
        try
        {
            return call();
        }
        finally
        {
            _callDepth--;
        }
    }

    public void At(Node node) => _position = node.Position;

    public ChatTemplateException Fail(string message) => new(message, _position.Line, _position.Column);

    public ChatTemplateLimitException Limit(string message) => new(message, _position.Line, _position.Column);
}
