using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Syntax;

namespace Eigengate.ChatTemplates.Nodes;

/// <summary>Statements in order.</summary>
internal sealed class Block(Position position, IReadOnlyList<Statement> statements) : Statement(position)
{
    protected override Flow Run(RenderState state)
    {
        foreach (Statement statement in statements)
        {
            Flow flow = statement.Execute(state);
            if (flow != Flow.Next)
                return flow;
        }

        return Flow.Next;
    }
}

/// <summary>Statements whose assignments end with them.</summary>
internal sealed class ScopedBlock(Position position, IReadOnlyList<(string Name, Expression Value)> names, Block body) : Statement(position)
{
    protected override Flow Run(RenderState state)
    {
        Scope outer = state.Scope;
        var scope = new Scope(outer);
        foreach ((string name, Expression value) in names)
            scope.Set(name, value.Evaluate(state));
        state.Scope = scope;
        Flow flow = body.Execute(state);
        state.Scope = outer;
        return flow;
    }
}

internal sealed class TextOutput(Position position, string text) : Statement(position)
{
    protected override Flow Run(RenderState state)
    {
        state.Output.Append(text);
        return Flow.Next;
    }
}

internal sealed class ExpressionOutput(Position position, Expression expression) : Statement(position)
{
    protected override Flow Run(RenderState state)
    {
        state.Output.Append(ValueText.Str(state, expression.Evaluate(state)));
        return Flow.Next;
    }
}
