using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Syntax;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Nodes;

/// <summary>What stands left of an assignment or after <c>for</c>.</summary>
internal abstract class Target(Position position) : Node(position)
{
    public abstract void Assign(RenderState state, object? value);
}

internal sealed class NameTarget(Position position, string name) : Target(position)
{
    public override void Assign(RenderState state, object? value) => state.Scope.Set(name, value);
}

internal sealed class AttributeTarget(Position position, string name, string attribute) : Target(position)
{
    public override void Assign(RenderState state, object? value)
    {
        state.At(this);
        if (!state.Scope.TryGet(name, out object? owner) || owner is not NamespaceValue space)
            throw state.Fail($"'{name}' is not a namespace, only attributes of namespaces can be set");
        space.Attributes.Set(attribute, value);
    }
}

internal sealed class TupleTarget(Position position, IReadOnlyList<Target> parts) : Target(position)
{
    public override void Assign(RenderState state, object? value)
    {
        state.At(this);
        IReadOnlyList<object?> items = Kinds.Items(state, value);
        if (items.Count != parts.Count)
            throw state.Fail($"cannot unpack {items.Count} values into {parts.Count} names");
        for (int i = 0; i < parts.Count; i++)
            parts[i].Assign(state, items[i]);
    }
}

internal sealed class Set(Position position, Target target, Expression value) : Statement(position)
{
    protected override Flow Run(RenderState state)
    {
        target.Assign(state, value.Evaluate(state));
        return Flow.Next;
    }
}

/// <summary>What a block prints, as a value: the body of <c>set</c> without <c>=</c> and of <c>filter</c>.</summary>
internal sealed class CapturedText(Position position, Block body) : Expression(position)
{
    protected override object? Compute(RenderState state) =>
        state.Capture(new Scope(state.Scope), () => body.Execute(state));
}
